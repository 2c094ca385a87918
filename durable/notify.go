package durable

import "sync"

// notifier calls WithOnChange, in order and one at a time, without holding up the run.
type notifier struct {
	onChange func(Record)

	mu     sync.Mutex
	wake   sync.Cond
	queue  []Record
	closed bool
	done   chan struct{}
}

func newNotifier(onChange func(Record)) *notifier {
	n := &notifier{onChange: onChange, done: make(chan struct{})}
	n.wake.L = &n.mu
	if onChange == nil {
		close(n.done)
		return n
	}
	go n.run()
	return n
}

func (n *notifier) run() {
	defer close(n.done)
	for {
		n.mu.Lock()
		for len(n.queue) == 0 && !n.closed {
			n.wake.Wait()
		}
		queue := n.queue
		n.queue = nil
		n.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, record := range queue {
			n.onChange(record)
		}
	}
}

func (n *notifier) notify(record *Record) {
	if n.onChange == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, record.clone())
	n.wake.Signal()
}

// close returns after the last call.
func (n *notifier) close() {
	n.mu.Lock()
	n.closed = true
	n.wake.Signal()
	n.mu.Unlock()
	<-n.done
}
