package durable

import (
	"context"
	"time"
)

// notifyPatience is for how long a call of WithOnChange may last.
const notifyPatience = 30 * time.Second

// notifier calls WithOnChange, in order and one at a time, without delaying the run.
type notifier struct {
	onChange func(context.Context, Record)
	ctx      context.Context
	cancel   context.CancelFunc
	last     <-chan struct{} // closed when the last call has ended
}

func newNotifier(ctx context.Context, onChange func(context.Context, Record)) *notifier {
	n := &notifier{onChange: onChange}
	n.ctx, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return n
}

// notify is called by one goroutine.
func (n *notifier) notify(r Record) {
	if n.onChange == nil {
		return
	}
	before, done := n.last, make(chan struct{})
	n.last = done
	go func() {
		defer close(done)
		if before != nil {
			<-before
		}
		if n.ctx.Err() == nil {
			n.call(r)
		}
	}()
}

// call leaves the function alone after 30 seconds.
func (n *notifier) call(r Record) {
	ctx, cancel := context.WithTimeout(n.ctx, notifyPatience)
	defer cancel()
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		n.onChange(ctx, r)
	}()
	select {
	case <-returned:
	case <-ctx.Done():
	}
}

// close returns after the last call, or after 30 seconds.
func (n *notifier) close() {
	defer n.cancel()
	if n.last == nil {
		return
	}
	timer := time.NewTimer(notifyPatience)
	defer timer.Stop()
	select {
	case <-n.last:
	case <-timer.C:
	}
}
