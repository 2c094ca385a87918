package main

import (
	"io"
	"sync"
)

// outlet is stdout. Its first failure ends the run: nobody would see what comes next, nor the id of a migration.
type outlet struct {
	to   io.Writer
	stop func(cause error)

	mu     sync.Mutex
	broken error
}

func (o *outlet) Write(b []byte) (int, error) {
	n, err := o.to.Write(b)
	if err != nil {
		o.fail(&outputError{withoutPath(err)})
	}
	return n, err
}

func (o *outlet) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken == nil {
		o.broken = err
		o.stop(err)
	}
}

// err is the first failure.
func (o *outlet) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.broken
}

// outputError is the failure to write to stdout.
type outputError struct{ err error }

func (e *outputError) Error() string { return "stdout cannot be written: " + e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }
