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
)

// prompter asks questions on a terminal.
type prompter struct {
	in  *bufio.Reader
	out io.Writer
}

// newPrompter returns nil when nobody could read the question or answer it.
func newPrompter(std stdio) *prompter {
	if !isTerminal(std.in) {
		return nil
	}
	for _, out := range []io.Writer{std.out, std.err} {
		if isTerminal(out) {
			return &prompter{in: bufio.NewReader(std.in), out: out}
		}
	}
	return nil
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// ask returns whether the answer is yes. It asks again until the answer is yes or no, so that a stray Enter decides
// nothing; the end of the input counts as no.
func (p *prompter) ask(ctx context.Context, warning, question string) (bool, error) {
	_, _ = fmt.Fprintf(p.out, "\n%s\n", warning)
	for {
		_, _ = fmt.Fprintf(p.out, "%s [yes/no] ", question)
		answer, err := p.readLine(ctx)
		if err != nil {
			_, _ = fmt.Fprintln(p.out)
			if ctx.Err() == nil && errors.Is(err, io.EOF) {
				return false, nil
			}
			return false, err
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
	}
}

// hangup is how long the signal of a terminal that is gone may take after the end of its input.
const hangup = 100 * time.Millisecond

// readLine waits for a line or the end of the context. In the latter case the goroutine goes on reading: a read from a
// terminal cannot be ended, and the program ends soon.
func (p *prompter) readLine(ctx context.Context) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := p.in.ReadString('\n')
		done <- result{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-done:
		if r.err != nil {
			_ = sleep(ctx, hangup)
		}
		return r.line, cmp.Or(ctx.Err(), r.err)
	}
}
