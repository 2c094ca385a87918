package livemigrationtest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func newClient(t *testing.T, srv *livemigrationtest.Server, opts ...livemigration.Option) *livemigration.Client {
	t.Helper()
	client, err := srv.NewClient(opts...)
	require.NoError(t, err)
	return client
}

// look is a migration as a test compares it; lag -1 is none.
type look struct {
	status livemigration.MigrationStatus
	ready  bool
	lag    time.Duration
}

func looks(m livemigrationtest.Migration) look {
	lag, ok := m.Lag()
	if !ok {
		lag = -1
	}
	return look{m.Status, m.ReadyForCutover, lag}
}

var (
	isNew      = look{livemigration.MigrationNew, false, -1}
	isReady    = look{livemigration.MigrationWorking, true, time.Second}
	isWorking  = look{livemigration.MigrationWorking, false, -1}
	isComplete = look{livemigration.MigrationComplete, false, -1}
	isFailed   = look{livemigration.MigrationFailed, false, -1}
	isExpired  = look{livemigration.MigrationExpired, false, -1}
)

func lagging(lag time.Duration) look { return look{livemigration.MigrationWorking, false, lag} }

func startMigrationOn(t *testing.T, srv *livemigrationtest.Server) livemigration.MigrationID {
	t.Helper()
	return livemigration.MigrationID(create(t, srv, livemigrationtest.CreateMigration))
}

func cutoverStatus(t *testing.T, srv *livemigrationtest.Server, id livemigration.MigrationID) int {
	t.Helper()
	return send(t, srv, endpoint(srv, livemigrationtest.Cutover, v2Prefix, string(id))).status
}

func TestMigrationPhases(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	id := startMigrationOn(t, srv)
	now := func() look { return looks(srv.Migrations()[0]) }
	for _, step := range []struct {
		advance time.Duration
		want    look
	}{
		{0, isNew},
		{time.Minute - 1, isNew},
		{1, lagging(time.Hour + time.Second)},
		{30 * time.Minute, lagging(30*time.Minute + time.Second)},
		{30*time.Minute - 1, lagging(2 * time.Second)},
	} {
		srv.Advance(step.advance)
		require.Equal(t, step.want, now())
		require.Equal(t, http.StatusConflict, cutoverStatus(t, srv, id), "too early")
	}
	srv.Advance(1)
	require.Equal(t, isReady, now())
	srv.Advance(120*time.Hour - 1)
	require.Equal(t, isReady, now())
	require.Equal(t, http.StatusAccepted, cutoverStatus(t, srv, id))
	require.Equal(t, isWorking, now())
	require.Equal(t, http.StatusConflict, cutoverStatus(t, srv, id), "twice")
	srv.Advance(5*time.Minute - 1)
	require.Equal(t, isWorking, now())
	srv.Advance(1)
	require.Equal(t, isComplete, now())
	require.Equal(t, http.StatusConflict, cutoverStatus(t, srv, id), "too late")
	srv.Advance(1000 * time.Hour)
	require.Equal(t, isComplete, now())
}

func TestWhyACutoverIsRejected(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	id := startMigrationOn(t, srv)
	rejection := func() any {
		res := send(t, srv, endpoint(srv, livemigrationtest.Cutover, v2Prefix, string(id)))
		return assertError(t, res, http.StatusConflict, "CONFLICT")["detail"]
	}
	const early, again = "The migration is not ready for cutover.", "The migration has already been cut over."
	assert.Equal(t, early, rejection())
	srv.Advance(srv.Timings().Scheduling + srv.Timings().InitialSync)
	require.Equal(t, http.StatusAccepted, cutoverStatus(t, srv, id))
	assert.Equal(t, again, rejection())
	srv.Advance(srv.Timings().Finishing)
	require.Equal(t, isComplete, looks(srv.Migrations()[0]))
	assert.Equal(t, again, rejection())
}

func TestMigrationExpires(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithTimings(livemigrationtest.Timings{
		Scheduling: -1, InitialSync: time.Second, CutoverWindow: time.Minute,
	}))
	id := startMigrationOn(t, srv)
	require.Equal(t, lagging(2*time.Second), looks(srv.Migrations()[0]), "a negative time is none")
	srv.Advance(time.Minute + time.Second - 1)
	require.Equal(t, isReady, looks(srv.Migrations()[0]))
	srv.Advance(1)
	require.Equal(t, isExpired, looks(srv.Migrations()[0]))
	require.Equal(t, http.StatusConflict, cutoverStatus(t, srv, id))
}

func TestValidationPhases(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.FailNextValidation("no route to the source")
	create(t, srv, livemigrationtest.CreateValidation)
	create(t, srv, livemigrationtest.CreateValidation)
	state := func(i int) (livemigration.ValidationStatus, string) {
		v := srv.Validations()[i]
		return v.Status, v.ErrorMessage
	}
	for i := range 2 {
		status, message := state(i)
		assert.Equal(t, livemigration.ValidationPending, status)
		assert.Empty(t, message)
	}
	srv.Advance(-time.Hour)
	srv.Advance(time.Minute - 1)
	status, _ := state(0)
	assert.Equal(t, livemigration.ValidationPending, status)
	srv.Advance(1)
	status, message := state(0)
	assert.Equal(t, livemigration.ValidationFailed, status)
	assert.Equal(t, "no route to the source", message)
	status, message = state(1)
	assert.Equal(t, livemigration.ValidationSuccess, status)
	assert.Empty(t, message)
}

func TestFailValidation(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	id := livemigration.ValidationID(create(t, srv, livemigrationtest.CreateValidation))
	require.NoError(t, srv.FailValidation(id, "stopped"))
	assert.Equal(t, []livemigration.Validation{{
		ID: id, ProjectID: srv.ProjectID(), SourceProjectID: sourceProject,
		Status: livemigration.ValidationFailed, ErrorMessage: "stopped",
	}}, srv.Validations())
	require.ErrorContains(t, srv.FailValidation(id, "again"), "it is FAILED")
	require.ErrorContains(t, srv.FailValidation("ffffffffffffffffffffffff", ""), "there is no validation")
}

func TestFailMigration(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	id := startMigrationOn(t, srv)
	require.NoError(t, srv.FailMigration(id))
	assert.Equal(t, isFailed, looks(srv.Migrations()[0]))
	require.ErrorContains(t, srv.FailMigration(id), "it is FAILED")
	require.ErrorContains(t, srv.ReleaseMigration(id), "it is FAILED")
	require.ErrorContains(t, srv.FailMigration("ffffffffffffffffffffffff"), "there is no migration")
}

func TestFailWhileFinishing(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	id := startMigrationOn(t, srv)
	srv.Advance(2 * time.Hour)
	require.Equal(t, http.StatusAccepted, cutoverStatus(t, srv, id))
	require.ErrorContains(t, srv.ExpireMigration(id), "it has been cut over")
	require.ErrorContains(t, srv.HoldMigration(id, time.Second), "it has been cut over")
	require.NoError(t, srv.FailMigration(id))
	assert.Equal(t, isFailed, looks(srv.Migrations()[0]))
}

func TestExpireMigration(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	id := startMigrationOn(t, srv)
	require.NoError(t, srv.ExpireMigration(id))
	assert.Equal(t, isExpired, looks(srv.Migrations()[0]))
	require.ErrorContains(t, srv.ExpireMigration(id), "it is EXPIRED")
}

func TestNextMigrations(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.FailNextMigration()
	srv.HoldNextMigration(90 * time.Second)
	failing, held, plain := startMigrationOn(t, srv), startMigrationOn(t, srv), startMigrationOn(t, srv)
	all := func() []look {
		var out []look
		for _, m := range srv.Migrations() {
			out = append(out, looks(m))
		}
		return out
	}
	assert.Equal(t, []look{isNew, isNew, isNew}, all())
	srv.Advance(time.Minute)
	hour := lagging(time.Hour + time.Second)
	assert.Equal(t, []look{hour, lagging(90 * time.Second), hour}, all())
	srv.Advance(time.Hour)
	assert.Equal(t, []look{isFailed, lagging(90 * time.Second), isReady}, all())
	srv.Advance(1000 * time.Hour)
	assert.Equal(t, []look{isFailed, lagging(90 * time.Second), isExpired}, all())
	assert.Equal(t, http.StatusConflict, cutoverStatus(t, srv, held))

	require.NoError(t, srv.ReleaseMigration(held))
	assert.Equal(t, hour, all()[1])
	srv.Advance(time.Hour)
	assert.Equal(t, isReady, all()[1])
	require.ErrorContains(t, srv.ReleaseMigration(held), "it is not held")

	ids := []livemigration.MigrationID{failing, held, plain}
	for i, m := range srv.Migrations() {
		assert.Equal(t, ids[i], m.ID)
		assert.NoError(t, m.ID.Validate())
	}
}

func TestHoldMigration(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	id := startMigrationOn(t, srv)
	now := func() look { return looks(srv.Migrations()[0]) }

	require.NoError(t, srv.HoldMigration(id, 10*time.Second)) // NEW becomes WORKING
	assert.Equal(t, lagging(10*time.Second), now())
	require.NoError(t, srv.HoldMigration(id, 1500*time.Millisecond)) // rounds up
	assert.Equal(t, lagging(2*time.Second), now())
	srv.Advance(1000 * time.Hour)
	assert.Equal(t, lagging(2*time.Second), now())

	require.NoError(t, srv.ReleaseMigration(id))
	srv.Advance(time.Hour + 100*time.Hour)
	require.Equal(t, isReady, now())
	require.NoError(t, srv.HoldMigration(id, time.Minute)) // not ready any more
	assert.Equal(t, lagging(time.Minute), now())
	assert.Equal(t, http.StatusConflict, cutoverStatus(t, srv, id))
	srv.Advance(1000 * time.Hour) // the window does not run
	require.NoError(t, srv.ReleaseMigration(id))
	srv.Advance(20*time.Hour - 1)
	assert.Equal(t, isReady, now())
	srv.Advance(1)
	assert.Equal(t, isExpired, now())
}

// Advance adds to what runs by itself, and nothing but virtual time passes.
func TestSpeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newOpenServer(t, livemigrationtest.WithSpeed(60))
		startMigrationOn(t, srv)
		now := func() look { return looks(srv.Migrations()[0]) }
		time.Sleep(time.Second - 1)
		assert.Equal(t, isNew, now())
		time.Sleep(time.Nanosecond)
		assert.Equal(t, lagging(time.Hour+time.Second), now())
		srv.Advance(30 * time.Minute)
		time.Sleep(30 * time.Second)
		assert.Equal(t, isReady, now())
		time.Sleep(120*time.Minute - 1)
		assert.Equal(t, isReady, now())
		time.Sleep(time.Nanosecond)
		assert.Equal(t, isExpired, now())
	})
}

// A job stands still unless the test moves it.
func TestNoSpeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newOpenServer(t, livemigrationtest.WithSpeed(-1))
		startMigrationOn(t, srv)
		time.Sleep(1000 * time.Hour)
		assert.Equal(t, isNew, looks(srv.Migrations()[0]))
	})
}

// A whole migration with the client's own waiting, in virtual time.
func TestWaitInBubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1))
		defer srv.Close()
		client, ctx, project := newClient(t, srv), t.Context(), srv.ProjectID()
		begin := time.Now()

		validation, err := client.Validations.Create(ctx, project, srv.SampleRequest())
		require.NoError(t, err)
		validation, err = client.Validations.Wait(ctx, project, validation.ID)
		require.NoError(t, err)
		assert.Equal(t, livemigration.ValidationSuccess, validation.Status)

		migration, err := client.Migrations.Create(ctx, project, srv.SampleRequest())
		require.NoError(t, err)
		srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(503).WithRetryAfter(time.Second).After(3), 2)
		srv.Inject(livemigrationtest.GetMigration, livemigrationtest.SlowBody(10*time.Second), 1)
		migration, err = client.Migrations.WaitReadyForCutover(ctx, project, migration.ID)
		require.NoError(t, err)
		require.NoError(t, client.Migrations.Cutover(ctx, project, migration.ID))
		migration, err = client.Migrations.WaitComplete(ctx, project, migration.ID)
		require.NoError(t, err)
		assert.Equal(t, livemigration.MigrationComplete, migration.Status)
		assert.Greater(t, time.Since(begin), time.Hour)
		assert.Zero(t, srv.PendingFaultCount())
	})
}

// However many jobs there are, each is found, and the lists keep the order of creation.
func TestManyJobs(t *testing.T) {
	t.Parallel()
	const count = 2_000
	srv := newOpenServer(t)
	startMigrations(t, srv, count)
	all := srv.Migrations()
	require.Len(t, all, count)
	for i, m := range all {
		if i > 0 {
			require.Less(t, all[i-1].ID, m.ID, "ids count up")
		}
		res := send(t, srv, endpoint(srv, livemigrationtest.GetMigration, v2Prefix, string(m.ID)))
		require.Contains(t, res.body, string(m.ID))
	}
}
