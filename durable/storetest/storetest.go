// Package storetest tests implementations of durable.Store, as testing/fstest tests implementations of fs.FS.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) durable.Store { return openMyStore(t) })
//	}
//
// A store whose locks can be lost passes [Lost], too.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// Run tests a store. It calls open for a new and empty store several times. open ends each one by t.Cleanup. If the store is
// a durable.Changer, that is tested, too.
func Run(t *testing.T, open func(t *testing.T) durable.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, durable.Store)
	}{
		{"empty", testEmpty},
		{"every field survives", testEveryField},
		{"large records survive", testLarge},
		{"names ignore case", testCase},
		{"unfit records are rejected", testUnfit},
		{"what is loaded is a copy", testCopies},
		{"list", testList},
		{"revisions", testRevisions},
		{"delete", testDelete},
		{"no revision twice", testNeverTwice},
		{"one of many wins", testRace},
		{"changed", testChanged},
		{"changed at once", testChangedAtOnce},
		{"lock", testLock},
		{"ended contexts", testContext},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// Lost tests that a store reports the loss of a lock. open returns a new and empty store, and a function that takes the lock
// "run" from it as a failure would: it ends the connection, or removes the file.
func Lost(t *testing.T, open func(t *testing.T) (store durable.Store, lose func())) {
	const patience = time.Minute
	s, lose := open(t)
	lost, unlock, err := s.Lock(t.Context(), "run")
	if err != nil {
		t.Fatalf("Lock: %v", err)
	}
	if lost == nil {
		t.Fatal("Lock returned no channel, but the lock can be lost")
	}
	mustKeep(t, lost)
	lose()
	select {
	case <-lost:
	case <-time.After(patience):
		t.Fatalf("the channel is not closed %v after the loss of the lock", patience)
	}
	lostAgain, unlockAgain, err := s.Lock(t.Context(), "run")
	if err != nil {
		t.Fatalf("Lock after the lock was lost: %v", err)
	}
	_ = unlock() // whether a lost lock can be unlocked is up to the store
	_, _, err = s.Lock(t.Context(), "run")
	mustBe(t, err, durable.ErrRunning, "Lock after the one who lost the lock has unlocked it")
	mustKeep(t, lostAgain)
	if err := unlockAgain(); err != nil {
		t.Fatalf("unlock: %v", err)
	}
}

func testLock(t *testing.T, s durable.Store) {
	for i := range 2 {
		lost, unlock, err := s.Lock(t.Context(), "run")
		if err != nil {
			t.Fatalf("Lock: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, _, err = s.Lock(ctx, "run")
		mustBe(t, err, durable.ErrRunning, "a second Lock, which must not wait")
		cancel()
		_, unlockPlans, err := s.Lock(t.Context(), "plans")
		if err != nil {
			t.Fatalf("Lock of another name: %v", err)
		}
		_ = save(t, s, record(fmt.Sprint("beside-the-lock-", i)))
		if err := unlockPlans(); err != nil {
			t.Fatalf("unlock: %v", err)
		}
		_, _, err = s.Lock(t.Context(), "run")
		mustBe(t, err, durable.ErrRunning, "Lock after another name was unlocked")
		mustKeep(t, lost)
		if err := unlock(); err != nil {
			t.Fatalf("unlock: %v", err)
		}
	}
}

func testContext(t *testing.T, s durable.Store) {
	stored := save(t, s, record("stored"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Save(ended, record("a"))
	mustBe(t, err, context.Canceled, "Save with an ended context")
	_, err = s.Load(ended, "stored")
	mustBe(t, err, context.Canceled, "Load with an ended context")
	_, err = s.List(ended)
	mustBe(t, err, context.Canceled, "List with an ended context")
	err = s.Delete(ended, "stored", stored.Revision)
	mustBe(t, err, context.Canceled, "Delete with an ended context")
	_, _, err = s.Lock(ended, "run")
	mustBe(t, err, context.Canceled, "Lock with an ended context")
	if changer, ok := s.(durable.Changer); ok {
		_, _, err = changer.Changed(ended, nil)
		mustBe(t, err, context.Canceled, "Changed with an ended context")
	}
	mustList(t, s, stored)
}

func mustKeep(t *testing.T, lost <-chan struct{}) {
	t.Helper()
	select {
	case <-lost: // a nil channel blocks
		t.Fatal("the lock is reported as lost, but it is not")
	default:
	}
}

func mustBe(t *testing.T, err, want error, what string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: the error is %v, want one that is %v", what, err, want)
	}
}

var start = time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.UTC)

func plan(name string) durable.Plan {
	const project, source = "6560f2a49c1b7e03d5aaaaaa", "6560f2a49c1b7e03d5bbbbbb"
	return durable.Plan{
		Name: name, ProjectID: project, Exclusive: []string{"org"}, HoldStart: true, Parallel: true,
		Request: livemigration.MigrationRequest{
			Source:         livemigration.Source{ProjectID: source, ClusterName: "from", ManagedAuthentication: true, SSL: true},
			Destination:    livemigration.Destination{ClusterName: "to"},
			MigrationHosts: []string{"vm001.example.com"},
			Sharding: &livemigration.Sharding{Entries: []livemigration.ShardEntry{{
				Database: "db", Collection: "c",
				ShardCollection: livemigration.ShardKeys{Key: []livemigration.ShardKeyField{{Field: "a", Order: livemigration.Hashed}}},
			}}},
		},
	}
}

func record(name string) durable.Record { return durable.NewRecord(plan(name), start) }
