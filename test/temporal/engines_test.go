package temporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
)

// engine is what people do with migrations, in a Fleet and on Temporal.
type engine struct {
	start   func(ctx context.Context, plan durable.Plan) error
	state   func(ctx context.Context, name string) (durable.State, error)
	approve func(ctx context.Context, name string, gate durable.Gate) error
	adopt   func(ctx context.Context, name string, id livemigration.MigrationID) error
	restart func(ctx context.Context, name string) error
	replace func(ctx context.Context, plan durable.Plan) error
	abandon func(ctx context.Context, name string) error
}

// decision is what a person does the first time that a record is in a state. It is tried again until it succeeds.
type decision func(ctx context.Context, e engine, atlas *livemigrationtest.Server, plan durable.Plan) error

// story is what happens to a migration.
type story struct {
	name              string
	plan              func(*durable.Plan)
	atlas             func(livemigrationtest.ClusterScript)
	people            map[durable.State]decision
	end               durable.State
	created, cutovers int
}

func approval(gate durable.Gate) decision {
	return func(ctx context.Context, e engine, _ *livemigrationtest.Server, plan durable.Plan) error {
		return e.approve(ctx, plan.Name, gate)
	}
}

func restart(ctx context.Context, e engine, _ *livemigrationtest.Server, plan durable.Plan) error {
	return e.restart(ctx, plan.Name)
}

func abandon(ctx context.Context, e engine, _ *livemigrationtest.Server, plan durable.Plan) error {
	return e.abandon(ctx, plan.Name)
}

// adoptOrAbandon looks in Atlas for the migration of an UNCLEAR record.
func adoptOrAbandon(ctx context.Context, e engine, atlas *livemigrationtest.Server, plan durable.Plan) error {
	for _, migration := range atlas.Migrations() {
		if migration.Source.ClusterName == plan.Request.Source.ClusterName {
			return e.adopt(ctx, plan.Name, migration.ID)
		}
	}
	return e.abandon(ctx, plan.Name)
}

func replace(ctx context.Context, e engine, _ *livemigrationtest.Server, plan durable.Plan) error {
	plan.Request.MigrationHosts = []string{"another-" + plan.Request.MigrationHosts[0]}
	return e.replace(ctx, plan)
}

func expire(_ context.Context, _ engine, atlas *livemigrationtest.Server, plan durable.Plan) error {
	for _, migration := range atlas.Migrations() {
		if migration.Source.ClusterName == plan.Request.Source.ClusterName {
			return atlas.ExpireMigration(migration.ID)
		}
	}
	return errors.New("it is not there yet")
}

func inject(op livemigrationtest.Operation, fault livemigrationtest.Fault) func(livemigrationtest.ClusterScript) {
	return func(script livemigrationtest.ClusterScript) { script.Inject(op, fault, 1) }
}

var (
	startIt     = approval(durable.GateStart)
	cutOver     = approval(durable.GateCutover)
	holdStart   = func(plan *durable.Plan) { plan.HoldStart = true }
	validations = func(script livemigrationtest.ClusterScript) { script.FailNextValidation("no disk") }
	stories     = []story{
		{"plain", nil, nil, map[durable.State]decision{durable.StateReady: cutOver}, durable.StateComplete, 1, 1},
		{"restarted", nil, validations,
			map[durable.State]decision{durable.StateFailed: restart, durable.StateReady: cutOver}, durable.StateComplete, 1, 1},
		{"failed validation", nil, validations, nil, durable.StateFailed, 0, 0},
		{"failed migration", nil, livemigrationtest.ClusterScript.FailNextMigration, nil, durable.StateFailed, 1, 0},
		{"adopted", nil, inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest()),
			map[durable.State]decision{durable.StateUnclear: adoptOrAbandon, durable.StateReady: cutOver}, durable.StateComplete, 1, 1},
		{"given up", nil, inject(livemigrationtest.CreateMigration, livemigrationtest.Status(503)),
			map[durable.State]decision{durable.StateUnclear: adoptOrAbandon}, durable.StateAbandoned, 0, 0},
		{"start approved", func(plan *durable.Plan) { plan.Request.DropDestinationData = true }, nil,
			map[durable.State]decision{durable.StateValidated: startIt, durable.StateReady: cutOver}, durable.StateComplete, 1, 1},
		{"held", holdStart, nil, map[durable.State]decision{durable.StateValidated: abandon}, durable.StateAbandoned, 0, 0},
		{"outage", nil, inject(livemigrationtest.CreateValidation, livemigrationtest.Status(503)),
			map[durable.State]decision{durable.StateReady: cutOver}, durable.StateComplete, 1, 1},
		{"lost cutover", nil, inject(livemigrationtest.Cutover, livemigrationtest.ResetAfterRequest()),
			map[durable.State]decision{durable.StateReady: cutOver}, durable.StateComplete, 1, 1},
		{"replaced", nil, inject(livemigrationtest.CreateMigration, livemigrationtest.Status(400)),
			map[durable.State]decision{durable.StateFailed: replace, durable.StateReady: cutOver}, durable.StateComplete, 1, 1},
		{"expired", nil, nil, map[durable.State]decision{durable.StateReady: expire}, durable.StateExpired, 1, 0},
	}
)

// Sixty migrations go through a Fleet and through Temporal, with the same Atlas and the same people. They end in the same
// states, with as many creations and cutovers.
func TestBothEngines(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	atlas := newAtlas(t)
	var inFleet, onTemporal map[string]string
	t.Run("", func(t *testing.T) {
		t.Run("fleet", func(t *testing.T) {
			t.Parallel()
			inFleet = play(t, fleetEngine(t, atlas), atlas)
		})
		t.Run("temporal", func(t *testing.T) {
			t.Parallel()
			l.work(t, nil)
			onTemporal = play(t, l.engine(), l.atlas)
			l.assertHistories(t)
		})
	})
	want := make(map[string]string)
	for i, plan := range storyPlans(atlas) {
		s := stories[i%len(stories)]
		want[plan.Name] = fmt.Sprintf("%s, %d created, %d cut over", s.end, s.created, s.cutovers)
	}
	require.Len(t, want, 60)
	assert.Equal(t, want, inFleet)
	assert.Equal(t, want, onTemporal)
}

func storyPlans(atlas *livemigrationtest.Server) []durable.Plan {
	plans := estate.Plans(atlas, 60, 60)
	for i := range plans {
		s := stories[i%len(stories)]
		plans[i].Name = fmt.Sprintf("%s-%d", strings.ReplaceAll(s.name, " ", "-"), i)
		if s.plan != nil {
			s.plan(&plans[i])
		}
	}
	return plans
}

// play starts all migrations and does what people do, until each one is where its story ends.
func play(t *testing.T, e engine, atlas *livemigrationtest.Server) map[string]string {
	ctx := t.Context()
	plans := storyPlans(atlas)
	for i, plan := range plans {
		if script := stories[i%len(stories)].atlas; script != nil {
			script(atlas.ForCluster(plan.Request.Source.ClusterName))
		}
		require.NoError(t, e.start(ctx, plan))
	}
	ended, decided := make(map[string]string), make(map[string]bool)
	eventually(t, func() bool {
		for i, plan := range plans {
			if ended[plan.Name] != "" {
				continue
			}
			s := stories[i%len(stories)]
			state, err := e.state(ctx, plan.Name)
			require.NoError(t, err)
			if decide := s.people[state]; decide != nil && !decided[plan.Name+string(state)] {
				decided[plan.Name+string(state)] = decide(ctx, e, atlas, plan) == nil
			} else if state == s.end {
				ended[plan.Name] = fmt.Sprintf("%s, %d created, %d cut over", state, created(atlas, plan), cutovers(atlas, plan))
			}
		}
		return len(ended) == len(plans)
	})
	return ended
}

func created(atlas *livemigrationtest.Server, plan durable.Plan) (n int) {
	for _, migration := range atlas.Migrations() {
		if migration.Source.ClusterName == plan.Request.Source.ClusterName {
			n++
		}
	}
	return n
}

func cutovers(atlas *livemigrationtest.Server, plan durable.Plan) (n int) {
	requests := atlas.Recorded(livemigrationtest.Cutover)
	for _, migration := range atlas.Migrations() {
		if migration.Source.ClusterName == plan.Request.Source.ClusterName {
			n += len(slices.DeleteFunc(slices.Clone(requests), func(r livemigrationtest.Request) bool {
				return !r.Authenticated || !strings.Contains(r.Path, string(migration.ID))
			}))
		}
	}
	return n
}

func fleetEngine(t *testing.T, atlas *livemigrationtest.Server) engine {
	t.Helper()
	c, err := atlas.NewClient()
	require.NoError(t, err)
	fleet, err := durable.NewFleet(durable.NewMemory(), durable.WithLimit(60), durable.WithPassword(estate.ReadPassword),
		durable.WithPollInterval(100*time.Millisecond, poll))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- fleet.Serve(ctx, c) }()
	t.Cleanup(func() {
		stop()
		<-served
	})
	return engine{
		start: func(ctx context.Context, plan durable.Plan) error { return fleet.Add(ctx, plan) },
		state: func(ctx context.Context, name string) (durable.State, error) {
			record, err := fleet.Record(ctx, name)
			if errors.Is(err, durable.ErrNotFound) { // the run has not read it yet
				return durable.StatePlanned, nil
			}
			return record.State, err
		},
		approve: func(ctx context.Context, name string, gate durable.Gate) error {
			return fleet.Approve(ctx, name, gate, "ann", time.Time{})
		},
		adopt:   fleet.Adopt,
		restart: func(ctx context.Context, name string) error { return fleet.Restart(ctx, name) },
		replace: fleet.Replace,
		abandon: fleet.Abandon,
	}
}

func (l *lab) engine() engine {
	return engine{
		start: func(ctx context.Context, plan durable.Plan) error {
			_, err := livemigrationtemporal.Start(ctx, l.Client, plan)
			return err
		},
		state: func(ctx context.Context, name string) (durable.State, error) {
			return estate.State(ctx, l.Client, name)
		},
		approve: func(ctx context.Context, name string, gate durable.Gate) error {
			return livemigrationtemporal.Approve(ctx, l.Client, name, gate, "ann", time.Time{})
		},
		adopt: func(ctx context.Context, name string, id livemigration.MigrationID) error {
			return livemigrationtemporal.Adopt(ctx, l.Client, name, id)
		},
		restart: func(ctx context.Context, name string) error {
			return livemigrationtemporal.Restart(ctx, l.Client, name)
		},
		replace: func(ctx context.Context, plan durable.Plan) error {
			return livemigrationtemporal.Replace(ctx, l.Client, plan)
		},
		abandon: func(ctx context.Context, name string) error {
			return livemigrationtemporal.Abandon(ctx, l.Client, name)
		},
	}
}
