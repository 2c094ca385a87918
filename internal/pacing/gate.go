package pacing

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// Class is who waits for a turn. A lower one goes first.
type Class int

const (
	// Call is a call that somebody waits for.
	Call Class = iota
	// Poll is one of many requests of a wait, which gives way to calls.
	Poll
	classes
)

// pace says when the next request may go.
type pace interface {
	// held is for how long the server wants no request at all.
	held(now time.Time) time.Duration
	// delay is how long the next request still has to wait. A queued one has waited before.
	delay(now time.Time, class Class, queued bool) time.Duration
	// step is the gap between two requests in the long run.
	step(class Class) time.Duration
	// spend notes that a request is sent.
	spend(now time.Time, class Class)
}

// gate lets requests through one after the other: those of a lower class first, and within a class in the order of their
// arrival. It has no goroutine of its own.
type gate struct {
	mu     sync.Mutex
	pace   pace
	queues [classes]list.List // of *waiter
}

type waiter struct {
	class Class
	wake  chan struct{} // something has changed
}

// TooLate says that a turn would not come in time.
type TooLate struct {
	// Wait is how long the wait would be.
	Wait time.Duration
	// Deadline says that it is too long for the context's deadline.
	Deadline bool
}

// Error says for how long the request would have had to wait.
func (e *TooLate) Error() string {
	text := "not sent: its turn within the rate limit comes in " + e.Wait.Round(time.Second/10).String()
	if e.Deadline {
		return text + ", after the context's deadline"
	}
	return text + ", which is too late"
}

// pass waits for a turn. It fails with a *TooLate as soon as it is known that the turn comes after the context's deadline,
// or that the server wants no request for longer than longestHold.
func (g *gate) pass(ctx context.Context, class Class, longestHold time.Duration) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.length(class) == 0 && g.pace.delay(now, class, false) <= 0 {
		g.pace.spend(now, class)
		return nil
	}
	own := &waiter{class, make(chan struct{}, 1)}
	place := g.queues[class].PushBack(own)
	defer func() {
		g.queues[class].Remove(place)
		g.wakeFirst()
	}()
	for {
		now := time.Now()
		delay := g.pace.delay(now, class, true)
		first := g.first() == own
		if first && delay <= 0 {
			g.pace.spend(now, class)
			return nil
		}
		wait := delay + g.ahead(place)*g.pace.step(class)
		if deadline := afterDeadline(ctx, now.Add(wait)); deadline || g.pace.held(now) > longestHold {
			return &TooLate{wait, deadline}
		}
		if !first {
			delay = -1
		}
		g.mu.Unlock()
		err := own.sleep(ctx, delay)
		g.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// length is how many requests are before a new one.
func (g *gate) length(class Class) (n int) {
	for c := range class + 1 {
		n += g.queues[c].Len()
	}
	return n
}

// first is the next one, nil when none waits.
func (g *gate) first() *waiter {
	for i := range g.queues {
		if front := g.queues[i].Front(); front != nil {
			return front.Value.(*waiter)
		}
	}
	return nil
}

// ahead is how many are before one that waits. Of its own class it counts a thousand at most, which is enough to see that
// it takes long.
func (g *gate) ahead(place *list.Element) (n time.Duration) {
	const most = 1000
	class := place.Value.(*waiter).class
	for before := place.Prev(); before != nil && n < most; before = before.Prev() {
		n++
	}
	if class > Call {
		n += time.Duration(g.length(class - 1))
	}
	return n
}

func afterDeadline(ctx context.Context, t time.Time) bool {
	deadline, ok := ctx.Deadline()
	return ok && t.After(deadline)
}

// changed wakes the next one, which then looks again at how long it has to wait. With all it wakes all, because they may
// have to wait too long now.
func (g *gate) changed(all bool) {
	if !all {
		g.wakeFirst()
		return
	}
	for i := range g.queues {
		for e := g.queues[i].Front(); e != nil; e = e.Next() {
			e.Value.(*waiter).poke()
		}
	}
}

func (g *gate) wakeFirst() {
	if first := g.first(); first != nil {
		first.poke()
	}
}

func (w *waiter) poke() {
	select {
	case w.wake <- struct{}{}:
	default: // it has not looked yet
	}
}

// sleep waits for the delay, if it is not negative, or until something has changed.
func (w *waiter) sleep(ctx context.Context, delay time.Duration) error {
	var elapsed <-chan time.Time
	if delay >= 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		elapsed = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.wake:
	case <-elapsed:
	}
	return nil
}
