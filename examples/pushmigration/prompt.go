package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/livemigration/livemigration-go"
)

// prompter asks questions on a terminal.
type prompter struct {
	file *os.File
	in   *bufio.Reader
	out  io.Writer
}

// newPrompter returns nil when nobody could read the question or answer it.
func newPrompter(std stdio) *prompter {
	if !isTerminal(std.in) {
		return nil
	}
	for _, out := range []io.Writer{std.out, std.err} {
		if isTerminal(out) {
			return &prompter{file: std.in.(*os.File), in: bufio.NewReader(std.in), out: out}
		}
	}
	return nil
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// ask returns whether a person says yes. It asks again until the input is yes or no, so that a stray Enter decides
// nothing; the end of the input counts as no.
func (p *prompter) ask(ctx context.Context, warning, question string) (bool, error) {
	_, _ = fmt.Fprintf(p.out, "\n%s\n", warning)
	for {
		_, _ = fmt.Fprintf(p.out, "%s [yes/no] ", question)
		line, err := read(ctx, func() (string, error) { return p.in.ReadString('\n') })
		if err != nil {
			_, _ = fmt.Fprintln(p.out)
			if ctx.Err() == nil && errors.Is(err, io.EOF) {
				return false, nil
			}
			return false, err
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
	}
}

// password reads one without showing it.
func (p *prompter) password(ctx context.Context, prompt string) (livemigration.Secret, error) {
	_, _ = fmt.Fprint(p.out, prompt)
	before, err := term.GetState(int(p.file.Fd()))
	if err != nil {
		return "", err
	}
	line, err := read(ctx, func() (string, error) {
		data, err := term.ReadPassword(int(p.file.Fd()))
		return string(data), err
	})
	_ = term.Restore(int(p.file.Fd()), before) // also when the context ended inside the read
	_, _ = fmt.Fprintln(p.out)
	return livemigration.Secret(line), err
}

// hangup is how long the signal of a terminal that is gone may take after the end of its input.
const hangup = 100 * time.Millisecond

// read waits for input or the end of the context. In the latter case the goroutine goes on reading: a read from a
// terminal cannot be ended, and the program ends soon.
func read(ctx context.Context, from func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := from()
		done <- result{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-done:
		if r.err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(hangup):
			}
		}
		return r.line, cmp.Or(ctx.Err(), r.err)
	}
}
