// Package storetest tests implementations of durable.Store, as testing/fstest tests those of fs.FS.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) durable.Store { return openMyStore(t) })
//	}
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// Run tests a store. open returns a new and empty one each time that it is called, and ends it by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) durable.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, durable.Store)
	}{
		{"empty", testEmpty},
		{"save and load", testSaveAndLoad},
		{"every field survives", testEveryField},
		{"revisions", testRevisions},
		{"names ignore case", testCase},
		{"unfit records are rejected", testUnfit},
		{"what is loaded is a copy", testCopies},
		{"list", testList},
		{"changed", testChanged},
		{"one of many savers wins", testRace},
		{"lock", testLock},
		{"ended contexts", testContext},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

var begin = time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.UTC)

func plan(name string) durable.Plan {
	const project, source = "6560f2a49c1b7e03d5aaaaaa", "6560f2a49c1b7e03d5bbbbbb"
	return durable.Plan{
		Name: name, ProjectID: project, Exclusive: []string{"org"},
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

func record(name string) durable.Record { return durable.NewRecord(plan(name), begin) }

func save(t *testing.T, s durable.Store, r durable.Record) durable.Record {
	t.Helper()
	saved, err := s.Save(t.Context(), r)
	if err != nil {
		t.Fatalf("Save of %q with revision %d: %v", r.Plan.Name, r.Revision, err)
	}
	want := r
	want.Revision++
	if !reflect.DeepEqual(saved, want) {
		t.Fatalf("Save returned\n%+v, want what was given with the next revision\n%+v", saved, want)
	}
	return saved
}

func mustLoad(t *testing.T, s durable.Store, want durable.Record) {
	t.Helper()
	got, err := s.Load(t.Context(), want.Plan.Name)
	if err != nil {
		t.Fatalf("Load of %q: %v", want.Plan.Name, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("Load returned\n%+v, want\n%+v", got, want)
	}
}

func mustBe(t *testing.T, err, want error, what string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: the error is %v, want one that is %v", what, err, want)
	}
}

func testEmpty(t *testing.T, s durable.Store) {
	_, err := s.Load(t.Context(), "nothing")
	mustBe(t, err, durable.ErrNotFound, "Load of what is not stored")
	records, err := s.List(t.Context())
	if err != nil || len(records) != 0 {
		t.Fatalf("List of an empty store returned %d records and error %v", len(records), err)
	}
}

func testSaveAndLoad(t *testing.T, s durable.Store) {
	for _, name := range []string{"a", "A-long.name_0", "0", "a.json"} {
		mustLoad(t, s, save(t, s, record(name)))
	}
}

func testEveryField(t *testing.T, s durable.Store) {
	r := record("full")
	lag := int64(7)
	const job, other = "6560f2a49c1b7e03d5cccccc", "6560f2a49c1b7e03d5dddddd"
	r.State, r.Begun, r.ValidationID, r.MigrationID = durable.StateReady, durable.ActionCutover, job, job
	r.FormerMigrationIDs = []livemigration.MigrationID{other}
	r.Migration = &livemigration.Migration{ID: job, Status: "NEWER", ReadyForCutover: true, MigrationHosts: []string{"h"}, LagTimeSeconds: &lag}
	r.ReadySince, r.CutOverAt, r.CheckAt = begin.Add(1), begin.Add(2), begin.Add(3)
	r.Updated, r.ProblemSince = begin.Add(4), begin.Add(5)
	r.Approved = []durable.Gate{durable.GateStart, durable.GateCutover}
	r.Granted = []durable.Gate{durable.GateCutover}
	r.Problem = "several \"words\" – with\tsigns <&>"
	for i := range 99 {
		r.Events = append(r.Events, durable.Event{Time: begin.Add(time.Duration(i)), Text: fmt.Sprint("event ", i)})
	}
	value := reflect.ValueOf(r)
	for i := range value.NumField() {
		if field := value.Type().Field(i).Name; value.Field(i).IsZero() && field != "Revision" {
			t.Fatalf("this test forgets the field %s", field)
		}
	}
	mustLoad(t, s, save(t, s, r))
}

func testRevisions(t *testing.T, s durable.Store) {
	fresh := record("a")
	premature := fresh
	premature.Revision = 3
	_, err := s.Save(t.Context(), premature)
	mustBe(t, err, durable.ErrConflict, "Save with a revision of what is not stored")
	first := save(t, s, fresh)
	_, err = s.Save(t.Context(), fresh)
	mustBe(t, err, durable.ErrConflict, "Save with revision 0 of what is stored")
	second := save(t, s, first.Approve(durable.GateCutover, begin))
	_, err = s.Save(t.Context(), first.Abandon(begin))
	mustBe(t, err, durable.ErrConflict, "Save with the revision before")
	mustLoad(t, s, second)
	future := second
	future.Revision++
	_, err = s.Save(t.Context(), future)
	mustBe(t, err, durable.ErrConflict, "Save with a revision to come")
	mustLoad(t, s, second)
}

func testCase(t *testing.T, s durable.Store) {
	saved := save(t, s, record("Billing"))
	got, err := s.Load(t.Context(), "bILLING")
	if err != nil || !reflect.DeepEqual(got, saved) {
		t.Fatalf("Load in another case returned %+v, %v", got, err)
	}
	_, err = s.Save(t.Context(), record("billing"))
	mustBe(t, err, durable.ErrConflict, "Save of a new record whose name differs in case only")
	renamed := saved
	renamed.Plan.Name = "BILLING"
	_, err = s.Save(t.Context(), renamed)
	mustBe(t, err, durable.ErrConflict, "Save that changes the case of a name")
	mustLoad(t, s, saved)
	_ = save(t, s, saved)
}

func testUnfit(t *testing.T, s durable.Store) {
	for name, change := range map[string]func(*durable.Record){
		"a password":     func(r *durable.Record) { r.Plan.Request.Source.Password = "hunter2" },
		"a path":         func(r *durable.Record) { r.Plan.Name = "../a" },
		"no name":        func(r *durable.Record) { r.Plan.Name = "" },
		"a device":       func(r *durable.Record) { r.Plan.Name = "nul" },
		"no such state":  func(r *durable.Record) { r.State = "READDY" },
		"no such action": func(r *durable.Record) { r.Begun = "cutover" },
	} {
		r := record("a")
		change(&r)
		_, err := s.Save(t.Context(), r)
		mustBe(t, err, livemigration.ErrInvalidRequest, "Save of a record with "+name)
	}
	for _, name := range []string{"", ".", "..", "../a", "/etc/passwd", "a/b", `a\b`, "nul"} {
		_, err := s.Load(t.Context(), name)
		mustBe(t, err, durable.ErrNotFound, fmt.Sprintf("Load of %q", name))
	}
	if records, err := s.List(t.Context()); err != nil || len(records) != 0 {
		t.Fatalf("List returned %d records and error %v, want nothing", len(records), err)
	}
}

func testCopies(t *testing.T, s durable.Store) {
	given := record("a")
	saved := save(t, s, given)
	want, err := s.Load(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	scribble := func(r durable.Record) {
		r.Events[0].Text = "scribbled"
		r.Plan.Exclusive[0] = "scribbled"
		r.Plan.Request.MigrationHosts[0] = "scribbled"
		r.Plan.Request.Sharding.Entries[0].Database = "scribbled"
	}
	loaded, err := s.Load(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	listed, err := s.List(t.Context())
	if err != nil || len(listed) != 1 {
		t.Fatalf("List returned %d records and error %v", len(listed), err)
	}
	for _, r := range []durable.Record{given, saved, loaded, listed[0]} {
		scribble(r)
	}
	mustLoad(t, s, want)
}

func testList(t *testing.T, s durable.Store) {
	var want []durable.Record
	for i := range 50 {
		want = append(want, save(t, s, record(fmt.Sprintf("m-%03d", i))))
	}
	got, err := s.List(t.Context())
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	slices.SortFunc(got, func(a, b durable.Record) int { return strings.Compare(a.Plan.Name, b.Plan.Name) })
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("List returned %d records that are not those that were saved", len(got))
	}
}

func testChanged(t *testing.T, s durable.Store) {
	changer, ok := s.(durable.Changer)
	if !ok {
		return // it is optional, and List takes its place
	}
	a, b := save(t, s, record("A")), save(t, s, record("b"))
	known := map[string]int64{}
	look := func() (names []string) {
		t.Helper()
		changed, err := changer.Changed(t.Context(), func(name string) int64 { return known[name] })
		if err != nil {
			t.Fatalf("Changed: %v", err)
		}
		for _, r := range changed {
			names = append(names, r.Plan.Name)
			known[r.Plan.Name] = r.Revision
		}
		slices.Sort(names)
		return names
	}
	mustSee := func(want ...string) {
		t.Helper()
		if got := look(); !slices.Equal(got, want) {
			t.Fatalf("Changed returned %q, want %q", got, want)
		}
	}
	mustSee("A", "b")
	mustSee()
	b = save(t, s, b.Approve(durable.GateCutover, begin))
	mustSee("b")
	mustSee()
	_ = save(t, s, a)
	_ = save(t, s, b)
	_ = save(t, s, record("c"))
	mustSee("A", "b", "c")
	mustSee()
}

func testRace(t *testing.T, s durable.Store) {
	const savers, rounds = 8, 5
	r := save(t, s, record("a"))
	for range rounds {
		var wg sync.WaitGroup
		won := make(chan durable.Record, savers)
		for range savers {
			wg.Go(func() {
				switch saved, err := s.Save(context.WithoutCancel(t.Context()), r); {
				case err == nil:
					won <- saved
				case !errors.Is(err, durable.ErrConflict):
					t.Errorf("Save beside others: %v", err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d of %d savers of the same revision succeeded, want 1", len(won), savers)
		}
		r = <-won
	}
	mustLoad(t, s, r)
}

func testLock(t *testing.T, s durable.Store) {
	for i := range 2 {
		unlock, err := s.Lock(t.Context())
		if err != nil {
			t.Fatalf("Lock: %v", err)
		}
		_, err = s.Lock(t.Context())
		mustBe(t, err, durable.ErrRunning, "a second Lock")
		_ = save(t, s, record(fmt.Sprint("beside-the-lock-", i)))
		if err := unlock(); err != nil {
			t.Fatalf("unlock: %v", err)
		}
	}
}

func testContext(t *testing.T, s durable.Store) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Save(ended, record("a"))
	mustBe(t, err, context.Canceled, "Save with an ended context")
	_, err = s.Load(ended, "a")
	mustBe(t, err, context.Canceled, "Load with an ended context")
	_, err = s.List(ended)
	mustBe(t, err, context.Canceled, "List with an ended context")
	_, err = s.Lock(ended)
	mustBe(t, err, context.Canceled, "Lock with an ended context")
}
