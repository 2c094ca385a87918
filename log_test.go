package livemigration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// records are the JSON records of a log, without their times.
func records(t *testing.T, log *bytes.Buffer) (all []map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(log)
	for decoder.More() {
		var record map[string]any
		require.NoError(t, decoder.Decode(&record))
		delete(record, "time")
		all = append(all, record)
	}
	return all
}

func loggingClient(t *testing.T, level slog.Level) (*livemigrationtest.Server, *livemigration.Client, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	srv := inProcess(livemigrationtest.WithSpeed(1))
	client, err := srv.NewClient(livemigration.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: level}))))
	require.NoError(t, err)
	return srv, client, &log
}

func TestRecordsOfRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, client, log := loggingClient(t, slog.LevelDebug)
		defer srv.Close()
		id := create(t, srv, client)
		log.Reset()
		srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(500).WithCode("UNEXPECTED_ERROR"), 1)
		srv.Inject(livemigrationtest.GetMigration, livemigrationtest.ResetAfterRequest(), 1)
		_, err := client.Migrations.Get(t.Context(), srv.ProjectID(), id)
		require.NoError(t, err)
		got := records(t, log)
		require.Len(t, got, 5)
		common := map[string]any{
			"operation": "Migrations.Get", "project_id": string(srv.ProjectID()), "migration_id": string(id), "method": "GET",
			"path": "/groups/" + string(srv.ProjectID()) + "/liveMigrations/" + string(id),
		}
		for i, want := range []map[string]any{
			{"level": "DEBUG", "msg": "attempt", "attempt": 1.0, "status": 500.0, "code": "UNEXPECTED_ERROR"},
			{"level": "INFO", "msg": "retry", "attempt": 1.0, "status": 500.0, "code": "UNEXPECTED_ERROR"},
			{"level": "DEBUG", "msg": "attempt", "attempt": 2.0, "status": 0.0},
			{"level": "INFO", "msg": "retry", "attempt": 2.0, "status": 0.0},
			{"level": "DEBUG", "msg": "attempt", "attempt": 3.0, "status": 200.0},
		} {
			assert.Subset(t, got[i], common)
			assert.Subset(t, got[i], want)
			assert.Contains(t, got[i], "wait")
			assert.Equal(t, want["msg"] == "attempt", got[i]["duration"] != nil)
			assert.Equal(t, i < 4, got[i]["error"] != nil)
			assert.Equal(t, i < 2, got[i]["request_id"] != nil)
		}
	})
}

type contextKey struct{}

// contextHandler keeps what the contexts of records contain.
type contextHandler struct {
	slog.Handler
	values *[]any
}

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	*h.values = append(*h.values, ctx.Value(contextKey{}))
	return h.Handler.Handle(ctx, r)
}

func TestRecordsHaveTheContextOfTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := inProcess(livemigrationtest.WithSpeed(1))
		defer srv.Close()
		var values []any
		var log bytes.Buffer
		handler := contextHandler{slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}), &values}
		client, err := srv.NewClient(livemigration.WithLogger(slog.New(handler)))
		require.NoError(t, err)
		id := create(t, srv, client)
		values = nil
		ctx := context.WithValue(t.Context(), contextKey{}, "here")
		_, err = client.Migrations.WaitReadyForCutover(ctx, srv.ProjectID(), id)
		require.NoError(t, err)
		require.NotEmpty(t, values)
		for _, value := range values {
			assert.Equal(t, "here", value)
		}
	})
}

func TestRecordsOfWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, client, log := loggingClient(t, slog.LevelInfo)
		defer srv.Close()
		id := create(t, srv, client)
		log.Reset()
		srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(503).After(5), 5)
		_, err := client.Migrations.WaitReadyForCutover(t.Context(), srv.ProjectID(), id)
		require.NoError(t, err)
		require.NoError(t, client.Migrations.Cutover(t.Context(), srv.ProjectID(), id))
		_, err = client.Migrations.WaitComplete(t.Context(), srv.ProjectID(), id)
		require.NoError(t, err)
		var got []string
		for _, r := range records(t, log) {
			if r["operation"] != nil {
				continue
			}
			assert.Equal(t, string(id), r["migration_id"])
			assert.Equal(t, string(srv.ProjectID()), r["project_id"])
			got = append(got, fmt.Sprint(r["level"], " ", r["msg"], " ", r["state"], " ", r["ready_for_cutover"]))
		}
		assert.Equal(t, []string{
			"INFO state NEW false", "WARN outage <nil> <nil>", "INFO outage over <nil> <nil>", "INFO state WORKING false",
			"INFO state WORKING true", "INFO state WORKING false", "INFO state COMPLETE false",
		}, got)
	})
}

func TestANewJobIsLoggedWithItsID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, client, log := loggingClient(t, slog.LevelInfo)
		defer srv.Close()
		id := create(t, srv, client)
		got := records(t, log)
		require.Len(t, got, 1)
		assert.Subset(t, got[0], map[string]any{
			"level": "INFO", "msg": "created", "operation": "Migrations.Create", "project_id": string(srv.ProjectID()), "migration_id": string(id),
		})
		log.Reset()
		_, err := client.LinkTokens.Create(t.Context(), srv.OrgID(), livemigration.LinkTokenRequest{})
		require.NoError(t, err)
		assert.Subset(t, records(t, log)[0], map[string]any{"msg": "created", "org_id": string(srv.OrgID())})
	})
}

func TestDeprecationsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("Deprecation", "Mon, 5 Aug 2024 00:00:00 GMT") // as Atlas writes it
		}
		w.Header().Set("Sunset", "Thu, 1 Jul 2027 00:00:00 GMT")
		_, _ = io.WriteString(w, workingBody)
	}, livemigration.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	for range 3 {
		_, err := client.Migrations.Create(t.Context(), projectID, request())
		require.NoError(t, err)
		_, err = client.Migrations.Get(t.Context(), projectID, jobID)
		require.NoError(t, err)
	}
	got := records(t, &log)
	require.Len(t, got, 2)
	for i, want := range []map[string]any{
		{"level": "WARN", "operation": "Migrations.Create", "deprecation": "2024-08-05T00:00:00Z", "sunset": "2027-07-01T00:00:00Z"},
		{"level": "WARN", "operation": "Migrations.Get", "sunset": "2027-07-01T00:00:00Z"},
	} {
		assert.Subset(t, got[i], want)
		assert.Equal(t, want["deprecation"], got[i]["deprecation"])
	}
}

func TestErrorsSayWhatSupportNeeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := inProcess()
		defer srv.Close()
		client, err := srv.NewClient()
		require.NoError(t, err)
		create(t, srv, client)
		path := "/groups/" + string(srv.ProjectID()) + "/liveMigrations"

		start := time.Now()
		srv.Inject(livemigrationtest.CreateValidation, livemigrationtest.Status(500), 5)
		_, err = client.Validations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
		var api *livemigration.APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, [...]any{"Validations.Create", "POST", path + "/validate", 5, time.Since(start)}, [...]any{api.Operation, api.Method, api.Path, api.Attempts, api.Duration})
		assert.Positive(t, api.Duration)

		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(429), 2)
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.TruncatedBody(), 1)
		start = time.Now()
		_, err = client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
		var unknown *livemigration.OutcomeUnknownError
		require.ErrorAs(t, err, &unknown)
		assert.Equal(t, [...]any{"Migrations.Create", "POST", path, 3, time.Since(start)}, [...]any{unknown.Operation, unknown.Method, unknown.Path, unknown.Attempts, unknown.Duration})

		srv.Close()
		start = time.Now()
		_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
		var call *livemigration.CallError
		require.ErrorAs(t, err, &call)
		assert.Equal(t, [...]any{"AvailableProjects.List", "GET", "/orgs/" + string(srv.OrgID()) + "/liveMigrations/availableProjects", 5, time.Since(start)},
			[...]any{call.Operation, call.Method, call.Path, call.Attempts, call.Duration})
		assert.Error(t, call.Err)
		assert.Equal(t, "livemigration: GET /x: broken", (&livemigration.CallError{Method: "GET", Path: "/x", Err: errors.New("broken")}).Error())
	})
}
