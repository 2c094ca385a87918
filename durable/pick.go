package durable

import (
	"context"
	"slices"
	"time"
)

// due is when an entry is or was due. One that is due in more than an hour is due now, because the clock was set.
func (e *entry) due(now time.Time) time.Time {
	if e.now || e.record.NextCheckAt.Sub(now) > longestWait {
		return time.Time{}
	}
	return e.record.NextCheckAt
}

// ready reports whether an entry may be acted on.
func (e *entry) ready(now time.Time) bool {
	if e.busy || e.lost && e.owed == nil || now.Before(e.retryAt) {
		return false
	}
	return e.unsettled() || !e.due(now).After(now)
}

// unsettled reports whether the store has to learn how an action ended before anything else is done.
func (e *entry) unsettled() bool { return e.owed != nil || e.record.Begun != nil }

// pick starts what is due: first what has to be settled, then cutovers, create requests and validations by name, as resources
// and limit allow, then polls, the longest due first. It reports whether nothing is left to do.
func (r *run) pick(ctx context.Context) (finished bool) {
	if ctx.Err() != nil {
		return false
	}
	now := time.Now()
	var cutovers, creations, validations []*entry
	r.polls = r.polls[:0]
	for _, e := range r.order {
		if !e.ready(now) {
			continue
		}
		if e.unsettled() {
			r.start(ctx, e, ActionNone)
			continue
		}
		switch e.record.Next(now) {
		case ActionNone:
		case ActionCutover:
			cutovers = append(cutovers, e)
		case ActionCreate:
			creations = append(creations, e)
		case ActionValidate:
			validations = append(validations, e)
		default:
			r.polls = append(r.polls, e)
		}
	}
	holders := r.startChanges(ctx, slices.Concat(cutovers, creations, validations), now)
	slices.SortStableFunc(r.polls, func(a, b *entry) int { return a.due(now).Compare(b.due(now)) })
	r.startPolls(ctx)
	return r.finished(holders, now)
}

// startChanges starts the next actions of entries as resources and limit allow, and returns the holders of resources. While
// saves fail it starts only one, to find out whether the store works again: its intent is stored before anything is sent.
func (r *run) startChanges(ctx context.Context, entries []*entry, now time.Time) (holders map[string]*entry) {
	holders, inProgress := r.holders(now)
	for _, e := range entries {
		action := e.record.Next(now)
		needs := e.record.Plan.needs(action)
		if action != ActionCutover && inProgress >= r.settings.limit {
			break // no cutover follows
		}
		if slices.ContainsFunc(needs, func(name string) bool { return holders[name] != nil && holders[name] != e }) {
			continue
		}
		if !r.start(ctx, e, action) {
			break
		}
		for _, name := range needs {
			holders[name] = e
		}
		if action != ActionCutover {
			inProgress++
		}
		if r.saveFails {
			break
		}
	}
	return holders
}

// holders returns which entry has which resource, and how many migrations WithLimit counts.
func (r *run) holders(now time.Time) (holders map[string]*entry, inProgress int) {
	holders = make(map[string]*entry)
	for _, e := range r.order {
		held := e.held
		if e.busy && len(held) == 0 {
			held = e.record.Plan.needs(e.doing)
		}
		for _, name := range held {
			holders[name] = e
		}
		if len(held) > 0 && e.counts(now) && !r.stopped(e, now) {
			inProgress++
		}
	}
	return holders, inProgress
}

// counts reports whether an entry that has resources counts. One that waits for an approval counts again when its poll is due,
// because the poll may find an approval.
func (e *entry) counts(now time.Time) bool {
	switch e.record.State {
	case StateComplete, StateUnclear:
		return false
	case StateReady:
		waits := e.record.Problem != nil && e.record.Problem.Kind == ProblemWaitingForApproval
		return !waits || !e.due(now).After(now)
	default:
		return true
	}
}

func (r *run) startPolls(ctx context.Context) {
	now := time.Now()
	for len(r.polls) > 0 && r.polling < poolPoll && r.busy < poolSize && ctx.Err() == nil {
		e := r.polls[0]
		r.polls = r.polls[1:]
		if !e.ready(now) || e.unsettled() {
			continue
		}
		if action := e.record.Next(now); action != ActionNone && !action.Changes() {
			r.start(ctx, e, action)
		}
	}
}

// start does an action of an entry in a goroutine, and reports whether there was room for it. ActionNone settles the last
// action.
func (r *run) start(ctx context.Context, e *entry, action Action) bool {
	if r.busy >= poolSize {
		return false
	}
	e.busy, e.doing = true, action
	r.busy++
	if action != ActionNone && !action.Changes() {
		r.polling++
	}
	record, owed, lagDue := e.record, e.owed, time.Since(e.savedAt) >= lagInterval
	go func() {
		var done result
		switch {
		case owed != nil:
			done = r.keep(owed.record, owed.result, false)
		case action == ActionNone:
			done = r.conclude(record)
		default:
			done = r.step(ctx, record, action, lagDue)
		}
		done.entry = e
		r.results <- done
	}()
	return true
}

// settle takes the result of an action.
func (r *run) settle(done result) {
	e, now := done.entry, time.Now()
	e.busy = false
	r.busy--
	if e.doing != ActionNone && !e.doing.Changes() {
		r.polling--
	}
	e.now = false
	r.mu.Lock()
	e.owed = done.owed
	e.set(done.record)
	if done.stored || done.err != nil {
		r.noteStore(e, done.err, now)
	}
	r.mu.Unlock()
	if done.saved {
		e.savedAt, r.savedAt, r.saveFails = now, now, false
	}
	if done.err != nil {
		r.saveFails = true
		e.retryAt = now.Add(storeRetry)
	}
	r.tell(e, now)
	if later := e.later; later != nil && e.owed == nil {
		e.later = nil
		r.take(*later)
	}
}

func (r *run) noteStore(e *entry, err error, now time.Time) {
	switch {
	case err == nil:
		e.err, e.failing, e.lost = nil, time.Time{}, false
	case e.err == nil:
		e.err, e.failing = err, now
	default:
		e.err = err
	}
}
