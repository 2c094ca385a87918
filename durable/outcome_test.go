package durable

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/livemigration/livemigration-go"
)

// outcome is what a record becomes that has begun something.
func outcome(r Record, change func(*Record)) Record {
	r = r.clone()
	r.Begun = ActionNone
	change(&r)
	return r
}

func working(ready bool) *livemigration.Migration {
	lag := int64(12)
	return &livemigration.Migration{
		ID: migrationID, Status: livemigration.MigrationWorking, ReadyForCutover: ready,
		MigrationHosts: []string{"VM-a.example.com."}, LagTimeSeconds: &lag,
	}
}

func ended(status livemigration.MigrationStatus) *livemigration.Migration {
	m := working(false)
	m.Status = status
	return m
}

// weathers are failures that pass by themselves, whatever the operation.
var weathers = map[string]error{
	"401":       apiError(http.StatusUnauthorized, "UNEXPECTED_ERROR"),
	"403":       apiError(http.StatusForbidden, "IP_ADDRESS_NOT_ON_ACCESS_LIST"),
	"407":       apiError(http.StatusProxyAuthRequired, ""),
	"429":       apiError(http.StatusTooManyRequests, "RATE_LIMITED"),
	"no turn":   &livemigration.PacingError{Method: http.MethodGet, Path: "/x"},
	"password":  &passwordError{errors.New("the vault is sealed")},
	"elsewhere": errors.New("unexpected"),
}

// outages are those of which nobody knows whether the request was carried out.
var outages = map[string]error{
	"408":      apiError(http.StatusRequestTimeout, ""),
	"460":      apiError(460, ""),
	"499":      apiError(499, ""),
	"500":      apiError(http.StatusInternalServerError, "UNEXPECTED_ERROR"),
	"502":      apiError(http.StatusBadGateway, ""),
	"503":      apiError(http.StatusServiceUnavailable, ""),
	"504":      apiError(http.StatusGatewayTimeout, ""),
	"no reply": callError(),
}

func each(t *testing.T, errs map[string]error, test func(*testing.T, error)) {
	for name, err := range errs {
		t.Run(name, func(t *testing.T) { test(t, err) })
	}
}

// requireWeather checks that the record has stayed where it was and says why it does not go on.
func requireWeather(t *testing.T, before, after Record) {
	t.Helper()
	assert.Equal(t, before.State, after.State)
	assert.Empty(t, after.Begun)
	assert.NotEmpty(t, after.Problem)
	assert.Equal(t, t1, after.ProblemSince)
	assert.Equal(t, before.Events, after.Events)
}

func TestOutcomeOfValidate(t *testing.T) {
	r := recordIn(StatePlanned).Begin(ActionValidate, t0)
	do := func(v *livemigration.Validation, err error) Record {
		return outcome(r, func(r *Record) { _ = r.validationCreated(v, err, t1) })
	}
	done := do(&livemigration.Validation{ID: validationID}, nil)
	assert.Equal(t, StateValidating, done.State)
	assert.Equal(t, validationID, done.ValidationID)
	requireWeather(t, r, do(&livemigration.Validation{ID: "none"}, nil))
	each(t, weathers, func(t *testing.T, err error) { requireWeather(t, r, do(nil, err)) })
	each(t, outages, func(t *testing.T, err error) { requireWeather(t, r, do(nil, err)) })
	each(t, map[string]error{
		"400": apiError(400, "INVALID_ATTRIBUTE"), "404": apiError(404, "GROUP_NOT_FOUND"), "410": apiError(410, "VERSION_GONE"),
		"invalid": &livemigration.InvalidRequestError{},
	}, func(t *testing.T, err error) {
		failed := do(nil, err)
		assert.Equal(t, StateFailed, failed.State)
		assert.Contains(t, failed.Problem, "creating the validation failed")
	})
	requireWeather(t, r, do(nil, apiError(400, ""))) // of a gateway
}

func TestOutcomeOfCheckValidation(t *testing.T) {
	r := recordIn(StateValidating)
	do := func(v *livemigration.Validation, err error) Record {
		return outcome(r, func(r *Record) { _ = r.validationSeen(v, err, t1) })
	}
	seen := func(status livemigration.ValidationStatus) *livemigration.Validation {
		return &livemigration.Validation{ID: validationID, Status: status, ErrorMessage: "not enough disk at mongodb://u:p@host/"}
	}
	assert.Equal(t, r, do(seen(livemigration.ValidationPending), nil))
	assert.Equal(t, r, do(seen("SOMETHING"), nil))
	assert.Equal(t, StateValidated, do(seen(livemigration.ValidationSuccess), nil).State)
	failed := do(seen(livemigration.ValidationFailed), nil)
	assert.Equal(t, StateFailed, failed.State)
	assert.Contains(t, failed.Problem, "not enough disk at mongodb://[REDACTED]@host/")
	gone := do(nil, apiError(404, "RESOURCE_NOT_FOUND"))
	assert.Equal(t, StatePlanned, gone.State)
	assert.Empty(t, gone.ValidationID)
	requireWeather(t, r, do(nil, apiError(404, ""))) // of a gateway
	requireWeather(t, r, do(nil, apiError(410, "VERSION_GONE")))
	each(t, weathers, func(t *testing.T, err error) { requireWeather(t, r, do(nil, err)) })
	each(t, outages, func(t *testing.T, err error) { requireWeather(t, r, do(nil, err)) })
}

func TestValidatedWaitsForTheStart(t *testing.T) {
	r := recordIn(StateValidating).with(drops)
	done := outcome(r, func(r *Record) {
		_ = r.validationSeen(&livemigration.Validation{ID: validationID, Status: livemigration.ValidationSuccess}, nil, t1)
	})
	assert.Equal(t, GateStart, done.Gate())
	assert.Contains(t, done.Problem, "waits for the approval of the start")
	assert.Contains(t, done.Problem, "to-a")
}

func TestOutcomeOfCreate(t *testing.T) {
	r := recordIn(StateValidated).Begin(ActionCreate, t0)
	do := func(m *livemigration.Migration, err error) Record {
		return outcome(r, func(r *Record) { _ = r.migrationCreated(m, err, t1) })
	}
	unknown := func(id string, err error) error {
		return &livemigration.OutcomeUnknownError{Method: http.MethodPost, Path: "/groups/x/liveMigrations", ID: id, Err: err}
	}
	done := do(&livemigration.Migration{ID: migrationID, Status: livemigration.MigrationNew}, nil)
	assert.Equal(t, StateReplicating, done.State)
	assert.Equal(t, migrationID, done.MigrationID)
	assert.NotNil(t, done.Migration)

	broken := do(&livemigration.Migration{ID: "odd"}, nil)
	assert.Equal(t, StateUnclear, broken.State)
	assert.Contains(t, broken.Problem, `"odd"`)

	each(t, weathers, func(t *testing.T, err error) { requireWeather(t, r, do(nil, err)) })
	each(t, map[string]error{
		"400": apiError(400, "INVALID_ATTRIBUTE"), "404": apiError(404, "GROUP_NOT_FOUND"), "409": apiError(409, "CONFLICT"),
		"gateway": apiError(400, ""),
		"invalid": &livemigration.InvalidRequestError{},
	}, func(t *testing.T, err error) {
		failed := do(nil, err)
		assert.Equal(t, StateFailed, failed.State)
		assert.Contains(t, failed.Problem, "creating the migration failed")
		assert.Empty(t, failed.MigrationID)
	})
	each(t, outages, func(t *testing.T, err error) {
		unclear := do(nil, unknown("", err))
		assert.Equal(t, StateUnclear, unclear.State)
		for _, text := range []string{string(projectID), "to-a", "from-a"} {
			assert.Contains(t, unclear.Problem, text)
		}
		salvaged := do(nil, unknown(string(migrationID), err))
		assert.Equal(t, StateReplicating, salvaged.State)
		assert.Equal(t, migrationID, salvaged.MigrationID)
		assert.Empty(t, salvaged.Problem)
	})
	// An attempt before may have been a rejection of another kind.
	assert.Equal(t, StateUnclear, do(nil, unknown("", apiError(429, "RATE_LIMITED"))).State)
	assert.Equal(t, StateUnclear, do(nil, unknown("", apiError(400, "INVALID_ATTRIBUTE"))).State)
}

func TestOutcomeOfLooks(t *testing.T) {
	for name, test := range map[string]struct {
		state State
		seen  *livemigration.Migration
		want  State
	}{
		"replicating: working":         {StateReplicating, working(false), StateReplicating},
		"replicating: of which status": {StateReplicating, ended("PAUSED"), StateReplicating},
		"replicating: ready":           {StateReplicating, working(true), StateReady},
		"replicating: complete":        {StateReplicating, ended(livemigration.MigrationComplete), StateComplete},
		"replicating: failed":          {StateReplicating, ended(livemigration.MigrationFailed), StateFailed},
		"replicating: expired":         {StateReplicating, ended(livemigration.MigrationExpired), StateExpired},
		"ready: still":                 {StateReady, working(true), StateReady},
		"ready: not any more":          {StateReady, working(false), StateReplicating},
		"ready: complete":              {StateReady, ended(livemigration.MigrationComplete), StateComplete},
		"ready: failed":                {StateReady, ended(livemigration.MigrationFailed), StateFailed},
		"ready: expired":               {StateReady, ended(livemigration.MigrationExpired), StateExpired},
		"finishing: working":           {StateFinishing, working(false), StateFinishing},
		"finishing: still ready":       {StateFinishing, working(true), StateReady},
		"finishing: complete":          {StateFinishing, ended(livemigration.MigrationComplete), StateComplete},
		"finishing: failed":            {StateFinishing, ended(livemigration.MigrationFailed), StateFailed},
		"finishing: expired":           {StateFinishing, ended(livemigration.MigrationExpired), StateExpired},
	} {
		t.Run(name, func(t *testing.T) {
			r := outcome(recordIn(test.state), func(r *Record) { assert.NoError(t, r.migrationSeen(test.seen, nil, t1)) })
			assert.Equal(t, test.want, r.State)
			assert.Equal(t, test.seen.Status, r.Migration.Status)
			assert.Equal(t, test.want == StateFailed || test.want == StateExpired || test.want == StateReady, r.Problem != "", r.Problem)
			assert.Equal(t, test.want == StateReady && test.state == StateReplicating, r.ReadySince.Equal(t1))
			if test.want == StateReplicating {
				assert.Zero(t, r.ReadySince)
			}
		})
	}
	for _, state := range []State{StateReplicating, StateReady, StateFinishing} {
		t.Run(string(state), func(t *testing.T) {
			before := recordIn(state)
			do := func(err error) Record {
				return outcome(before, func(r *Record) { _ = r.migrationSeen(nil, err, t1) })
			}
			lost := do(apiError(404, "RESOURCE_NOT_FOUND"))
			assert.Equal(t, StateUnclear, lost.State)
			assert.Equal(t, migrationID, lost.MigrationID)
			assert.Contains(t, lost.Problem, string(migrationID))
			requireWeather(t, before, do(apiError(404, ""))) // of a gateway
			requireWeather(t, before, do(apiError(410, "VERSION_GONE")))
			each(t, weathers, func(t *testing.T, err error) { requireWeather(t, before, do(err)) })
			each(t, outages, func(t *testing.T, err error) { requireWeather(t, before, do(err)) })
		})
	}
}

func TestOutcomeOfCutover(t *testing.T) {
	r := recordIn(StateReady).with(approve(GateCutover)).Begin(ActionCutover, t0)
	do := func(err error) Record { return outcome(r, func(r *Record) { _ = r.cutOver(err, t1) }) }
	done := do(nil)
	assert.Equal(t, StateFinishing, done.State)
	assert.Equal(t, t1, done.CutOverAt)
	assert.Empty(t, done.Problem)
	each(t, map[string]error{
		"no turn": weathers["no turn"],
		"unsent":  &livemigration.CallError{Method: http.MethodPut, Path: "/x", Err: errors.New("ended")},
	}, func(t *testing.T, err error) { requireWeather(t, r, do(err)) })
	lost := map[string]error{
		"409": apiError(409, "CONFLICT"), "404": apiError(404, "RESOURCE_NOT_FOUND"),
		"401": weathers["401"], "403": weathers["403"], "429": weathers["429"],
		"unknown": &livemigration.OutcomeUnknownError{Method: http.MethodPut, Err: apiError(401, "")},
	}
	for name, err := range outages {
		lost[name] = err
	}
	each(t, lost, func(t *testing.T, err error) {
		unsure := do(err)
		assert.Equal(t, StateFinishing, unsure.State)
		assert.Zero(t, unsure.CutOverAt)
		assert.Contains(t, unsure.Problem, "the cutover failed")
	})
}

func TestRejectedCutoverIsTriedAgain(t *testing.T) {
	r := recordIn(StateReady).with(approve(GateCutover))
	for i := range 50 {
		now := t1.Add(time.Duration(i) * time.Hour)
		r = outcome(r.Begin(ActionCutover, now), func(r *Record) { _ = r.cutOver(apiError(409, "CONFLICT"), now) })
		assert.Equal(t, StateFinishing, r.State)
		r = outcome(r, func(r *Record) { _ = r.migrationSeen(working(true), nil, now) })
		assert.Equal(t, StateReady, r.State)
		assert.Equal(t, ActionCutover, r.Next())
		assert.Contains(t, r.Problem, "409 CONFLICT: a detail")
		assert.Equal(t, t1, r.ProblemSince)
	}
	assert.Less(t, len(r.Events), 10, "it does not push its history out")
}

func TestAcceptedCutoverThatStaysReady(t *testing.T) {
	r := recordIn(StateFinishing).with(func(r *Record) { r.CutOverAt = t0 })
	look := func(r Record, now time.Time) Record {
		return outcome(r, func(r *Record) { _ = r.migrationSeen(working(true), nil, now) })
	}
	r = look(r, t0.Add(14*time.Minute))
	assert.Equal(t, StateFinishing, r.State)
	assert.Empty(t, r.Problem)
	r = look(r, t0.Add(15*time.Minute))
	assert.Equal(t, StateFinishing, r.State)
	assert.Contains(t, r.Problem, "2026-03-01 10:00 UTC")
	again := look(r, t0.Add(16*time.Minute))
	assert.False(t, again.News(r))
}
