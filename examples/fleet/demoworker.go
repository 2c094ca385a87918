package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// start starts the worker: the command run, as a user would. Its end is sent to ended.
func (d *demo) start(ctx context.Context) (ended <-chan error, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d.say("$ " + d.line("run", "-window", "00:00-24:00"))
	worker := exec.CommandContext(ctx, program, "-state", d.state, "run", "-window", "00:00-24:00",
		"-notes", "-brief", d.scaled(4*time.Second).String(), "-poll", d.scaled(150*time.Millisecond).String())
	worker.Env, worker.Stdout, worker.Stderr = d.atlas.environment(), d.out, d.log
	worker.Cancel = func() error { return worker.Process.Signal(os.Interrupt) }
	worker.WaitDelay = 10 * time.Second
	notes, err := worker.StdinPipe()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := worker.Start(); err != nil {
		return nil, err
	}
	d.worker, d.notes = worker, notes
	end := make(chan error, 1)
	go func() {
		err := worker.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.worker, d.notes = nil, nil
		end <- err
	}()
	return end, nil
}

// kill ends the worker as kill -9 does.
func (d *demo) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.worker != nil {
		_ = d.worker.Process.Kill() // it may have ended
	}
	close(d.crashed)
}

// say prints a line, above the table of the worker if there is one.
func (d *demo) say(text string) {
	d.mu.Lock()
	notes := d.notes
	d.mu.Unlock()
	if notes != nil {
		if _, err := io.WriteString(notes, text+"\n"); err == nil {
			return
		}
	}
	(&plainView{out: d.out}).note(text)
}

// command does a command as a user would, beside the worker.
func (d *demo) command(ctx context.Context, args ...string) error {
	d.say("$ " + d.line(args...))
	var said strings.Builder
	if status := run(ctx, append([]string{"fleet", "-state", d.state}, args...), strings.NewReader(""), &said, &said); status != exitDone {
		return fmt.Errorf("exit status %d: %s", status, strings.TrimSpace(said.String()))
	}
	for line := range strings.Lines(said.String()) {
		d.say(strings.TrimRight(line, "\n"))
	}
	return nil
}
