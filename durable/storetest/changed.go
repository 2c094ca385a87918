package storetest

import (
	"maps"
	"slices"
	"testing"

	"github.com/livemigration/livemigration-go/durable"
)

// follower knows what a run knows of a store.
type follower struct {
	t       *testing.T
	changer durable.Changer
	known   map[string]int64
}

// follow is false when the store is no Changer, which is optional: List takes its place.
func follow(t *testing.T, s durable.Store) (*follower, bool) {
	changer, ok := s.(durable.Changer)
	return &follower{t, changer, make(map[string]int64)}, ok
}

// mustSee asks what has changed. The names of what must be gone start with "-".
func (f *follower) mustSee(want ...string) {
	f.t.Helper()
	given := maps.Clone(f.known)
	changed, gone, err := f.changer.Changed(f.t.Context(), given)
	if err != nil {
		f.t.Fatalf("Changed: %v", err)
	}
	if !maps.Equal(given, f.known) {
		f.t.Fatal("Changed has changed the map that it was given")
	}
	var got []string
	for _, name := range gone {
		got = append(got, "-"+name)
		delete(f.known, name)
	}
	for _, r := range changed {
		got = append(got, r.Plan.Name)
		f.known[r.Plan.Name] = r.Revision
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		f.t.Fatalf("Changed returned %q, want %q", got, want)
	}
}

func testChanged(t *testing.T, s durable.Store) {
	f, ok := follow(t, s)
	if !ok {
		return
	}
	f.mustSee()
	a, b := save(t, s, record("A")), save(t, s, record("b"))
	f.mustSee("A", "b")
	f.mustSee()
	b = save(t, s, change(b))
	f.mustSee("b")
	f.mustSee()
	a, b = save(t, s, a), save(t, s, b)
	c := save(t, s, record("c"))
	f.mustSee("A", "b", "c")
	f.mustSee()
	remove(t, s, "A", a.Revision)
	remove(t, s, "c", c.Revision)
	f.mustSee("-A", "-c")
	f.mustSee()
	_ = save(t, s, record("A"))
	f.mustSee("A")
	f.known["b"] = b.Revision + 7 // the store was restored from a backup
	f.known["never"] = 1
	f.mustSee("-never", "b")
}

// testChangedAtOnce changes a record faster than the times of files differ.
func testChangedAtOnce(t *testing.T, s durable.Store) {
	f, ok := follow(t, s)
	if !ok {
		return
	}
	_ = save(t, s, record("other"))
	r := save(t, s, record("a"))
	f.mustSee("a", "other")
	for i := range 40 {
		switch i % 4 {
		case 3:
			remove(t, s, "a", r.Revision)
			r = save(t, s, record("a"))
		default:
			r = save(t, s, r)
		}
		f.mustSee("a")
	}
	f.mustSee()
}
