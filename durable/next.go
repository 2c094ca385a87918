package durable

import "time"

// Next returns what is to be done, due at NextCheckAt.
func (r Record) Next(now time.Time) Action { return ActionNone }

// Gate returns the approval that the record lacks now, empty when there is none.
func (r Record) Gate(now time.Time) Gate { return "" }

// Begin returns the record with the action in progress.
func (r Record) Begin(a Action, by string, now time.Time) Record { return r }

// Recover returns what becomes of a record whose action had begun, when it is unknown how that ended.
func (r Record) Recover(now time.Time) Record { return r }

// Apply returns the record with a result.
func (r Record) Apply(res Result, now time.Time) Record { return r }

func sameRecord(a, b Record) bool { return false }
