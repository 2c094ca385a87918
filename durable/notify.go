package durable

import (
	"context"
	"sync"
	"time"
)

// notifyPatience is for how long a call of WithOnChange may last.
const notifyPatience = 30 * time.Second

// notifier calls WithOnChange, in order and one at a time, without delaying the run.
type notifier struct {
	onChange func(context.Context, Record)
	ctx      context.Context
	cancel   context.CancelFunc

	mu      sync.Mutex
	queue   []Record
	calling bool
	idle    chan struct{} // closed when the last call has ended
}

func newNotifier(ctx context.Context, onChange func(context.Context, Record)) *notifier {
	n := &notifier{onChange: onChange}
	n.ctx, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return n
}

func (n *notifier) notify(r Record) {
	if n.onChange == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, r)
	if !n.calling {
		n.calling, n.idle = true, make(chan struct{})
		go n.work(n.idle)
	}
}

// work ends when nothing is left to tell.
func (n *notifier) work(idle chan struct{}) {
	defer close(idle)
	for {
		n.mu.Lock()
		if len(n.queue) == 0 || n.ctx.Err() != nil {
			n.calling = false
			n.mu.Unlock()
			return
		}
		r := n.queue[0]
		n.queue = n.queue[1:]
		n.mu.Unlock()
		n.call(r)
	}
}

// call returns when the function does, and leaves it alone after 30 seconds.
func (n *notifier) call(r Record) {
	ctx, cancel := context.WithTimeout(n.ctx, notifyPatience)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.onChange(ctx, r)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// close returns after the last call, or after 30 seconds.
func (n *notifier) close() {
	n.mu.Lock()
	idle := n.idle
	n.mu.Unlock()
	if idle != nil {
		timer := time.NewTimer(notifyPatience)
		defer timer.Stop()
		select {
		case <-idle:
		case <-timer.C:
		}
	}
	n.cancel()
}
