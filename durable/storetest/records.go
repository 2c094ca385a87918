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

func save(t *testing.T, s durable.Store, r durable.Record) durable.Record {
	t.Helper()
	saved, err := s.Save(t.Context(), r)
	if err != nil {
		t.Fatalf("Save of %q with revision %d: %v", r.Plan.Name, r.Revision, err)
	}
	want := r
	want.Revision++
	if r.Revision == 0 {
		want.Revision = max(1, saved.Revision) // a new record may start anywhere
	}
	if !reflect.DeepEqual(saved, want) {
		t.Fatalf("Save returned\n%+v, want what was given with the next revision\n%+v", saved, want)
	}
	return saved
}

// change returns a record with another content.
func change(r durable.Record) durable.Record {
	r.Events = append(slices.Clone(r.Events), durable.Event{Time: start, Text: fmt.Sprint("event ", len(r.Events))})
	return r
}

func remove(t *testing.T, s durable.Store, name string, revision int64) {
	t.Helper()
	if err := s.Delete(t.Context(), name, revision); err != nil {
		t.Fatalf("Delete of %q with revision %d: %v", name, revision, err)
	}
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

func mustList(t *testing.T, s durable.Store, want ...durable.Record) {
	t.Helper()
	got, err := s.List(t.Context())
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	slices.SortFunc(got, func(a, b durable.Record) int { return strings.Compare(a.Plan.Name, b.Plan.Name) })
	if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
		t.Fatalf("List returned %d records, want the %d that were saved", len(got), len(want))
	}
}

func testEmpty(t *testing.T, s durable.Store) {
	_, err := s.Load(t.Context(), "nothing")
	mustBe(t, err, durable.ErrNotFound, "Load of what is not stored")
	err = s.Delete(t.Context(), "nothing", 1)
	mustBe(t, err, durable.ErrNotFound, "Delete of what is not stored")
	mustList(t, s)
	for _, name := range []string{"a", "A-long.name_0", "0", "a.json"} {
		mustLoad(t, s, save(t, s, record(name)))
	}
}

func testEveryField(t *testing.T, s durable.Store) {
	r := record("full")
	lag := int64(7)
	const job, other = "6560f2a49c1b7e03d5cccccc", "6560f2a49c1b7e03d5dddddd"
	r.State, r.ValidationID, r.MigrationID = durable.StateReady, job, job
	r.Begun = &durable.Intent{Action: durable.ActionCutover, At: start, Number: 1 << 52, By: "run"}
	r.Unclear = &durable.Intent{Action: durable.ActionCreate, At: start, Number: 2, By: "other run"}
	r.FormerMigrationIDs = []livemigration.MigrationID{other}
	r.Migration = &livemigration.Migration{
		ID: job, Status: "NEWER", ReadyForCutover: true, MigrationHosts: []string{"h"}, LagTimeSeconds: &lag,
	}
	for i, at := range []*time.Time{
		&r.SeenAt, &r.PlannedAt, &r.StartedAt, &r.ReadyAt, &r.CutoverAt, &r.EndedAt, &r.NextCheckAt, &r.UpdatedAt,
	} {
		*at = start.Add(time.Duration(i + 1))
	}
	r.Approved = []durable.Approval{
		{Gate: durable.GateStart, By: "ann", At: start},
		{Gate: durable.GateCutover, By: "policy", At: start, Until: start.Add(time.Minute)},
	}
	r.Problem = &durable.Problem{
		Kind: durable.ProblemRetrying, Text: "several \"words\" – with\tsigns <&> \u2028 😀", Since: start,
		Operation: "Migrations.Get", Status: 503, Code: "UNEXPECTED_ERROR",
	}
	value := reflect.ValueOf(r)
	for i := range value.NumField() {
		if field := value.Type().Field(i).Name; value.Field(i).IsZero() && field != "Revision" {
			t.Fatalf("this test forgets the field %s", field)
		}
	}
	mustLoad(t, s, save(t, s, r))
}

// testLarge is for columns that end after 64 KB, and for pages of responses that end after some number of bytes.
func testLarge(t *testing.T, s durable.Store) {
	var want []durable.Record
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		r := record(name)
		for i := range 99 {
			text := strings.Repeat(fmt.Sprintf("text %02d ", i), 300)
			r.Events = append(r.Events, durable.Event{Time: start.Add(time.Duration(i)), Text: text})
		}
		want = append(want, save(t, s, r))
		mustLoad(t, s, want[len(want)-1])
	}
	mustList(t, s, want...)
}

func testCase(t *testing.T, s durable.Store) {
	saved := save(t, s, record("Billing"))
	got, err := s.Load(t.Context(), "bILLING")
	if err != nil || !reflect.DeepEqual(got, saved) {
		t.Fatalf("Load in another case returned %+v, %v", got, err)
	}
	_, err = s.Save(t.Context(), record("billing"))
	mustBe(t, err, durable.ErrStale, "Save of a new record whose name differs in case only")
	renamed := saved
	renamed.Plan.Name = "BILLING"
	_, err = s.Save(t.Context(), renamed)
	mustBe(t, err, durable.ErrStale, "Save that changes the case of a name")
	mustLoad(t, s, saved)
	saved = save(t, s, saved)
	remove(t, s, "bILLinG", saved.Revision)
	mustList(t, s)
	if again := save(t, s, record("billing")); again.Revision <= saved.Revision {
		t.Fatalf("the revision %d of a deleted record was used again in another case", again.Revision)
	}
}

func testUnfit(t *testing.T, s durable.Store) {
	for name, change := range map[string]func(*durable.Record){
		"a password":     func(r *durable.Record) { r.Plan.Request.Source.Password = "hunter2" },
		"a path":         func(r *durable.Record) { r.Plan.Name = "../a" },
		"no name":        func(r *durable.Record) { r.Plan.Name = "" },
		"a device":       func(r *durable.Record) { r.Plan.Name = "nul" },
		"no such state":  func(r *durable.Record) { r.State = "READDY" },
		"no such action": func(r *durable.Record) { r.Begun = &durable.Intent{Action: "cutover", At: start, Number: 1, By: "run"} },
	} {
		r := record("a")
		change(&r)
		_, err := s.Save(t.Context(), r)
		mustBe(t, err, livemigration.ErrInvalidRequest, "Save of a record with "+name)
	}
	for _, name := range []string{"", ".", "..", "../a", "/etc/passwd", "a/b", `a\b`, "nul"} {
		_, err := s.Load(t.Context(), name)
		mustBe(t, err, durable.ErrNotFound, fmt.Sprintf("Load of %q", name))
		err = s.Delete(t.Context(), name, 1)
		mustBe(t, err, durable.ErrNotFound, fmt.Sprintf("Delete of %q", name))
	}
	mustList(t, s)
}

func testCopies(t *testing.T, s durable.Store) {
	given := record("a")
	saved := save(t, s, given)
	want := record("a")
	want.Revision = saved.Revision
	loaded, err := s.Load(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	listed, err := s.List(t.Context())
	if err != nil || len(listed) != 1 {
		t.Fatalf("List returned %d records and error %v", len(listed), err)
	}
	for _, r := range []durable.Record{given, saved, loaded, listed[0]} {
		r.Events[0].Text = "scribbled"
		r.Plan.Exclusive[0] = "scribbled"
		r.Plan.Request.MigrationHosts[0] = "scribbled"
		r.Plan.Request.Sharding.Entries[0].Database = "scribbled"
	}
	mustLoad(t, s, want)
}

// testList saves more records than a page of any usual store contains.
func testList(t *testing.T, s durable.Store) {
	const n, savers = 1050, 50
	want := make([]durable.Record, n)
	var wg sync.WaitGroup
	for first := range savers {
		wg.Go(func() {
			for i := first; i < n; i += savers {
				saved, err := s.Save(context.WithoutCancel(t.Context()), record(fmt.Sprintf("m-%04d", i)))
				if err != nil {
					t.Errorf("Save beside others: %v", err)
					return
				}
				want[i] = saved
			}
		})
	}
	wg.Wait()
	mustList(t, s, want...)
	if changer, ok := s.(durable.Changer); ok {
		if changed, gone, err := changer.Changed(t.Context(), nil); err != nil || len(changed) != n || len(gone) > 0 {
			t.Fatalf("Changed returned %d records, %d gone and error %v, want all %d", len(changed), len(gone), err, n)
		}
	}
}

func testRevisions(t *testing.T, s durable.Store) {
	fresh := record("a")
	premature := fresh
	premature.Revision = 3
	_, err := s.Save(t.Context(), premature)
	mustBe(t, err, durable.ErrStale, "Save with a revision of what is not stored")
	first := save(t, s, fresh)
	_, err = s.Save(t.Context(), fresh)
	mustBe(t, err, durable.ErrStale, "Save with revision 0 of what is stored")
	second := save(t, s, change(first))
	_, err = s.Save(t.Context(), first)
	mustBe(t, err, durable.ErrStale, "Save with the revision before")
	mustLoad(t, s, second)
	future := change(second)
	future.Revision++
	_, err = s.Save(t.Context(), future)
	mustBe(t, err, durable.ErrStale, "Save with a revision to come")
	mustLoad(t, s, second)
}

func testDelete(t *testing.T, s durable.Store) {
	other, first := save(t, s, record("other")), save(t, s, record("a"))
	second := save(t, s, change(first))
	for _, revision := range []int64{0, first.Revision, second.Revision + 1} {
		err := s.Delete(t.Context(), "a", revision)
		mustBe(t, err, durable.ErrStale, fmt.Sprintf("Delete of revision %d, where %d is stored", revision, second.Revision))
	}
	mustList(t, s, second, other)
	remove(t, s, "a", second.Revision)
	_, err := s.Load(t.Context(), "a")
	mustBe(t, err, durable.ErrNotFound, "Load of what was deleted")
	err = s.Delete(t.Context(), "a", second.Revision)
	mustBe(t, err, durable.ErrNotFound, "Delete of what was deleted")
	_, err = s.Save(t.Context(), change(second))
	mustBe(t, err, durable.ErrStale, "Save with the revision of what was deleted")
	mustList(t, s, other)
}

func testNeverTwice(t *testing.T, s durable.Store) {
	var last int64
	for i := range 12 {
		r := save(t, s, record("a"))
		if r.Revision <= last {
			t.Fatalf("a new record got the revision %d, but an earlier one of its name had %d", r.Revision, last)
		}
		for range i % 4 {
			r = save(t, s, change(r))
		}
		last = r.Revision
		remove(t, s, "a", last)
	}
}

// testRace lets many at a time save, add or delete one record. One of them wins.
func testRace(t *testing.T, s durable.Store) {
	const rivals, rounds = 8, 5
	ctx := context.WithoutCancel(t.Context())
	race := func(what string, try func(i int) error) {
		t.Helper()
		var wg sync.WaitGroup
		errs := make([]error, rivals)
		for i := range rivals {
			wg.Go(func() { errs[i] = try(i) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, durable.ErrStale) && !errors.Is(err, durable.ErrNotFound):
				t.Fatalf("%s beside others: %v", what, err)
			}
		}
		if won != 1 {
			t.Fatalf("%s: %d of %d succeeded, want 1", what, won, rivals)
		}
	}
	stored := func() durable.Record {
		t.Helper()
		r, err := s.Load(t.Context(), "a")
		if err != nil {
			t.Fatalf("Load: %v", err)
		}
		return r
	}
	trySave := func(r durable.Record) error {
		_, err := s.Save(ctx, r)
		return err
	}
	for range rounds {
		race("Save of a new record", func(int) error { return trySave(record("a")) })
		r := stored()
		race("Save of the same revision", func(int) error { return trySave(r) })
		r = stored()
		race("Save and Delete of the same revision", func(i int) error {
			if i%2 == 0 {
				return trySave(r)
			}
			return s.Delete(ctx, "a", r.Revision)
		})
		if r, err := s.Load(t.Context(), "a"); err == nil {
			remove(t, s, "a", r.Revision)
		}
	}
}
