package durable

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const livesEnv = "DURABLE_LIVES" // how many random lives

// chaos is an estate in which everything goes wrong for two hours: programs are killed, two of them run at once, the disk is
// full, requests break, and people approve, revoke, replace, restart, adopt, abandon, remove and add at any moment.
type chaos struct {
	*world
	t       *testing.T
	windows []Window

	mu      sync.Mutex
	chance  *rand.Rand
	full    time.Time            // until then the disk is full
	calm    bool                 // nothing goes wrong from now on
	policy  map[string]time.Time // when the function of WithCutoverApproval said yes
	removed map[string]time.Time
	seen    []livemigration.MigrationID // that a person knew of who restarted an abandoned record
}

func (c *chaos) roll(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chance.IntN(n)
}

func (c *chaos) within(d time.Duration) time.Duration {
	return time.Duration(c.roll(int(d/time.Millisecond))) * time.Millisecond
}

// percent is true that often, until it is calm.
func (c *chaos) percent(p int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.calm && c.chance.IntN(100) < p
}

func (c *chaos) pick(names ...string) string { return names[c.roll(len(names))] }

func TestRandomLives(t *testing.T) {
	lives := 4 // the environment may say 2000
	if text := os.Getenv(livesEnv); text != "" {
		var err error
		lives, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	for seed := range lives {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c := &chaos{
					world: w, t: t, chance: rand.New(rand.NewPCG(uint64(seed), 7)),
					policy: make(map[string]time.Time), removed: make(map[string]time.Time),
				}
				c.live()
			}, livemigrationtest.Timings{
				Validation: 40 * time.Second, InitialSync: 7 * time.Minute, Finishing: 2 * time.Minute, CutoverWindow: time.Hour,
			})
		})
	}
}

func (c *chaos) live() {
	for hour := range 24 {
		window, err := ParseWindow(fmt.Sprintf("%02d:00-%02d:40", hour, hour), time.UTC)
		require.NoError(c.t, err)
		c.windows = append(c.windows, window)
	}
	plans := c.estate()
	c.world.add(c.t, plans...)
	c.store.free = true
	c.store.onCall(c.beforeStore)
	c.store.after = func(Record) error {
		if c.percent(1) {
			return errDisk
		}
		return nil
	}
	c.onRequest(c.beforeRequest)
	end := time.Now().Add(2 * time.Hour)
	var all sync.WaitGroup
	for _, work := range []func(){c.program, c.program, c.people, c.people, c.faults} {
		all.Go(func() {
			for time.Now().Before(end) {
				work()
			}
		})
	}
	all.Wait()
	c.settleDown()
	c.checkJobs()
}

// estate is five plans that share hosts and a source project, and some of which have a start gate.
func (c *chaos) estate() []Plan {
	plans := c.plans(5)
	plans[1].Request.MigrationHosts = plans[0].Request.MigrationHosts
	plans[3].Request.Source.ProjectID = plans[2].Request.Source.ProjectID
	plans[0].HoldStart = true
	plans[2].Request.DropDestinationData = true
	return plans
}

func (c *chaos) beforeStore(op string, _ Record) error {
	if c.percent(10) {
		time.Sleep(c.within(5 * time.Second))
	}
	c.mu.Lock()
	full := op == "save" && time.Now().Before(c.full) && !c.calm
	c.mu.Unlock()
	if full || c.percent(2) {
		return errDisk
	}
	return nil
}

// beforeRequest checks each cutover: there is an approval of a person, or of the function within a minute, and the window
// is open.
func (c *chaos) beforeRequest(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/cutover") && req.Header.Get("Authorization") != "" {
		now, open := time.Now(), false
		for _, w := range c.windows {
			open = open || w.Open(now)
		}
		assert.True(c.t, open, "a cutover outside its window, at %s", now)
		assert.True(c.t, c.approved(req.URL.Path, now), "a cutover without an approval, at %s", now)
	}
	return nil, nil
}

func (c *chaos) approved(path string, now time.Time) bool {
	records, err := c.store.Memory.List(c.t.Context())
	require.NoError(c.t, err)
	for _, r := range records {
		if r.MigrationID == "" || !strings.Contains(path, string(r.MigrationID)) {
			continue
		}
		for _, a := range r.Approved {
			if a.Gate == GateCutover && a.By != policy && (a.Until.IsZero() || now.Before(a.Until)) {
				return true
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return now.Sub(c.policy[r.Plan.Name]) <= approvalLife
	}
	return false
}

// program is one life of a program, which ends, is killed, or comes to its end.
func (c *chaos) program() {
	ctx, kill := context.WithTimeout(c.t.Context(), time.Hour)
	defer kill()
	l := &life{spy: c.store, kill: kill}
	opts := []Option{WithLimit(1 + c.roll(5)), WithCutoverWindow(c.windows...), WithPollInterval(5*time.Second, 30*time.Second)}
	if c.percent(50) {
		opts = append(opts, WithCutoverApproval(c.approve))
	}
	if c.percent(50) {
		time.AfterFunc(c.within(20*time.Minute), l.die)
	} else {
		time.AfterFunc(c.within(20*time.Minute), kill)
	}
	_ = fleetOn(c.t, l, opts...).Run(ctx, l.client(c.t, c.world)) // its end is random
	time.Sleep(c.within(5 * time.Minute))
}

func (c *chaos) approve(_ context.Context, r Record) (bool, error) {
	if c.percent(50) {
		return false, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.policy[r.Plan.Name] = time.Now()
	return true, nil
}

// faults makes something in Atlas or on the way there go wrong, or fills the disk.
func (c *chaos) faults() {
	time.Sleep(c.within(40 * time.Second))
	any := []livemigrationtest.Fault{
		livemigrationtest.ResetBeforeRequest(), livemigrationtest.ResetAfterRequest(), livemigrationtest.TruncatedBody(),
		livemigrationtest.Status(503), livemigrationtest.Status(500).Processed(), livemigrationtest.Status(429).WithRetryAfter(time.Minute),
		livemigrationtest.Status(409), livemigrationtest.Status(401), livemigrationtest.Status(404).WithCode("GROUP_NOT_FOUND"),
		livemigrationtest.Status(405).WithCode("WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"), livemigrationtest.RawStatus(502, "text/html", "<html>"),
		livemigrationtest.SlowBody(c.within(50 * time.Second)), livemigrationtest.SlowBody(c.within(10 * time.Second)),
	}
	ops := []livemigrationtest.Operation{
		livemigrationtest.CreateMigration, livemigrationtest.CreateMigration, livemigrationtest.Cutover, livemigrationtest.CreateValidation,
		livemigrationtest.GetMigration, livemigrationtest.GetValidation, livemigrationtest.AnyOperation,
	}
	c.Inject(ops[c.roll(len(ops))], any[c.roll(len(any))], 1+c.roll(2))
	switch c.roll(40) {
	case 0:
		c.FailNextMigration()
	case 1:
		c.FailNextValidation("the validation failed")
	case 2:
		c.mu.Lock()
		c.full = time.Now().Add(time.Duration(c.chance.IntN(360)) * time.Second)
		c.mu.Unlock()
	}
}

// people do something with a record, which may not be possible.
func (c *chaos) people() {
	time.Sleep(c.within(2 * time.Minute))
	name := fmt.Sprintf("m-%04d", c.roll(5))
	person, ctx := fleetOn(c.t, c.store), c.t.Context()
	gate := Gate(c.pick(string(GateStart), string(GateCutover)))
	switch c.pick("approve", "approve", "approve", "revoke", "replace", "decide", "decide", "decide", "abandon", "remove", "add") {
	case "approve":
		_ = person.Approve(ctx, name, gate, "kim", time.Time{})
	case "revoke":
		_ = person.Revoke(ctx, name, gate, "lee")
	case "replace":
		plan := c.estate()[int(name[5]-'0')]
		plan.Exclusive = []string{c.pick("x", "y", "z")}
		_ = person.Replace(ctx, plan)
	case "decide":
		c.decide(name)
	case "abandon":
		if c.roll(4) == 0 {
			_ = person.Abandon(ctx, name)
		}
	case "remove":
		c.remove(person, name)
	case "add":
		if !c.runsInAtlas(name) {
			_ = person.Add(ctx, c.estate()[int(name[5]-'0')])
		}
	}
}

func (c *chaos) remove(person *Fleet, name string) {
	if person.Remove(c.t.Context(), name) == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.removed[name] = time.Now()
	}
}

// decide is the person who looks in the Atlas UI before a record is restarted.
func (c *chaos) decide(name string) {
	r, err := c.store.Memory.Load(c.t.Context(), name)
	if err != nil {
		return
	}
	person := fleetOn(c.t, c.store)
	if r.State == StateUnclear {
		for _, job := range c.Migrations() {
			ours := job.Destination.ClusterName == "to-"+name && !job.History[0].Time.Before(r.Unclear.At)
			if ours && job.ID != r.MigrationID && !slices.Contains(r.FormerMigrationIDs, job.ID) {
				_ = person.Adopt(c.t.Context(), name, job.ID)
				return
			}
		}
	}
	jobs := c.jobs(name)
	if !c.runsInAtlas(name) && person.Restart(c.t.Context(), name) == nil && r.Unclear != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.seen = append(c.seen, jobs...) // the person knows what became of the unclear one
	}
}

func (c *chaos) runsInAtlas(name string) bool {
	runs := func(job livemigrationtest.Migration) bool {
		return job.Destination.ClusterName == "to-"+name && !job.Status.Final()
	}
	return slices.ContainsFunc(c.Migrations(), runs)
}

// settleDown ends all that goes wrong, and has a person decide what is left, until everything is COMPLETE or ABANDONED.
func (c *chaos) settleDown() {
	c.mu.Lock()
	c.calm = true
	c.mu.Unlock()
	c.ClearFaults()
	person := fleetOn(c.t, c.store.Memory)
	for round := 0; ; round++ {
		require.Less(c.t, round, 60, "something is stuck: %v", c.states(c.t))
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Hour)
		err := fleetOn(c.t, c.store, yes()).Run(ctx, c.client)
		cancel()
		if err == nil {
			return
		}
		records, err := c.store.Memory.List(c.t.Context())
		require.NoError(c.t, err)
		for _, r := range records {
			switch r.State {
			case StateUnclear, StateFailed, StateExpired:
				c.decide(r.Plan.Name)
				if c.get(c.t, r.Plan.Name).State == r.State && round > 20 { // a job that nobody needs runs in Atlas
					require.NoError(c.t, person.Abandon(c.t.Context(), r.Plan.Name))
				}
			case StateValidated:
				require.NoError(c.t, person.Approve(c.t.Context(), r.Plan.Name, GateStart, "kim", time.Time{}))
			}
		}
		time.Sleep(3 * time.Minute)
	}
}

// checkJobs checks that no cluster is migrated twice at the same time, and that each job is named by its record, or by one that
// is UNCLEAR or was abandoned so.
func (c *chaos) checkJobs() {
	ended := make(map[string]time.Time)
	for _, job := range c.Migrations() {
		name := strings.TrimPrefix(job.Destination.ClusterName, "to-")
		begun, last := job.History[0].Time, job.History[len(job.History)-1]
		if end, again := ended[name]; again {
			assert.False(c.t, end.IsZero() || begun.Before(end), "%s is migrated twice at the same time", name)
		}
		ended[name] = time.Time{}
		if last.Status.Final() {
			ended[name] = last.Time
		}
		if !begun.Before(c.removed[name]) && !slices.Contains(c.seen, job.ID) {
			assert.True(c.t, c.named(name, job.ID), "job %s of %s is lost", job.ID, name)
		}
	}
}

func (c *chaos) named(name string, id livemigration.MigrationID) bool {
	r, err := c.store.Memory.Load(c.t.Context(), name)
	if err != nil {
		return false
	}
	return r.MigrationID == id || slices.Contains(r.FormerMigrationIDs, id) || r.Unclear != nil
}
