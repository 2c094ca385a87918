package livemigration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithMaxLag(t *testing.T) {
	t.Parallel()
	at := func(lag string) func(*http.Request) (*http.Response, error) {
		return reply(200, `{"_id":"`+validID+`","status":"WORKING","readyForCutover":true`+lag+`}`)
	}
	synctest.Test(t, func(t *testing.T) {
		steps := []func(*http.Request) (*http.Response, error){working, at(""), at(`,"lagTimeSeconds":31`), at(`,"lagTimeSeconds":30`)}
		s := script(steps...)
		m, err := waits["ready"](s.client(t), t.Context(), WithMaxLag(30*time.Second))
		require.NoError(t, err)
		assert.EqualValues(t, 30, *m.LagTimeSeconds)
		assert.Len(t, s.requests, 4)

		s = script(steps...)
		_, err = waits["ready"](s.client(t), t.Context())
		require.NoError(t, err)
		assert.Len(t, s.requests, 2, "without it any lag is low enough, even an unknown one")

		s = script(at(""), at(`,"lagTimeSeconds":1`), at(`,"lagTimeSeconds":0`))
		_, err = waits["ready"](s.client(t), t.Context(), WithMaxLag(0))
		require.NoError(t, err)
		assert.Len(t, s.requests, 3)
	})
}

func TestRunOfAValidation(t *testing.T) {
	t.Parallel()
	pending, success := validationState(ValidationPending, ""), validationState(ValidationSuccess, "")
	type steps = []func(*http.Request) (*http.Response, error)
	for name, tc := range map[string]struct {
		steps    steps
		requests int
		status   ValidationStatus // empty: no validation
		err      error
	}{
		"success":          {steps{pending, pending, success}, 3, ValidationSuccess, nil},
		"success at once":  {steps{success}, 1, ValidationSuccess, nil},
		"failed":           {steps{pending, validationState(ValidationFailed, "no disk")}, 2, ValidationFailed, ErrValidationFailed},
		"failed at once":   {steps{validationState(ValidationFailed, "no disk")}, 1, ValidationFailed, ErrValidationFailed},
		"rejected":         {steps{reply(400, "")}, 1, "", ErrBadRequest},
		"lost":             {steps{pending, reply(404, "")}, 2, ValidationPending, ErrNotFound},
		"lost after polls": {steps{pending, validationState("QUEUED", ""), reply(404, "")}, 3, "QUEUED", ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := script(tc.steps...)
				v, err := s.client(t).Validations.Run(t.Context(), destinationID, validRequest(), WithCallOptions(WithHeader("X-Route", "a")))
				require.ErrorIs(t, err, tc.err)
				assert.Equal(t, tc.status == "", v == nil)
				if v != nil {
					assert.Equal(t, tc.status, v.Status)
				}
				assert.Len(t, s.requests, tc.requests)
				assert.Equal(t, http.MethodPost, s.requests[0].Method)
				for _, r := range s.requests {
					assert.Equal(t, "a", r.Header.Get("X-Route"))
				}
			})
		})
	}
}

func TestWithMaxAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{1, 3, 7} {
			s := script(down)
			var resp Response
			_, err := s.client(t).Migrations.Get(t.Context(), destinationID, validID, WithMaxAttempts(n), CaptureResponse(&resp))
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			assert.Len(t, s.requests, n)
			assert.Equal(t, n, resp.Attempts)
		}
	})
	_, err := script().client(t).Migrations.Get(t.Context(), destinationID, validID, WithMaxAttempts(0))
	require.EqualError(t, err, "livemigration: invalid request: WithMaxAttempts must be at least 1")
}

func TestDefaultGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := script(after(time.Hour, nil))
		client := s.client(t, WithAttemptTimeout(2*time.Hour))
		source, err := NewSourceClient(noCredentials, WithHTTPClient(&http.Client{Transport: s}), WithAttemptTimeout(2*time.Hour))
		require.NoError(t, err)
		errOf := func(_ any, err error) error { return err }
		for operation, tc := range map[string]struct {
			call  func(context.Context) error
			grace time.Duration
		}{
			"Migrations.Create": {func(ctx context.Context) error {
				return errOf(client.Migrations.Create(ctx, destinationID, validRequest()))
			}, 30 * time.Second},
			"LinkTokens.Create": {func(ctx context.Context) error {
				return errOf(client.LinkTokens.Create(ctx, validID, LinkTokenRequest{}))
			}, 30 * time.Second},
			"MigrationLink.Create": {func(ctx context.Context) error {
				return errOf(source.MigrationLink.Create(ctx, validID, "t0k3n"))
			}, 30 * time.Second},
			"Validations.Create": {func(ctx context.Context) error {
				return errOf(client.Validations.Create(ctx, destinationID, validRequest()))
			}, 0},
			"Migrations.Cutover": {func(ctx context.Context) error { return client.Migrations.Cutover(ctx, destinationID, validID) }, 0},
			"LinkTokens.Delete":  {func(ctx context.Context) error { return client.LinkTokens.Delete(ctx, validID) }, 0},
			"AvailableProjects.List": {func(ctx context.Context) error {
				return errOf(client.AvailableProjects.List(ctx, validID))
			}, 0},
		} {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := tc.call(ctx)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded, operation)
			assert.Equal(t, time.Second+tc.grace, time.Since(start), operation)
			assert.Equal(t, tc.grace > 0, MayHaveCreated(err), operation)
			assert.ErrorContains(t, err, "livemigration: "+operation+": ")
		}
	})
}

// ownError is an error of another package that marshals itself. Its type cannot be compared.
type ownError []string

func (e ownError) Error() string { return "own" }
func (e ownError) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"fields": []string(e)})
}

func TestErrorJSON(t *testing.T) {
	t.Parallel()
	api := &APIError{Operation: "Migrations.Get", StatusCode: 404, Code: "X", Method: "GET", Path: "/p", Attempts: 1}
	const members = `"operation":"Migrations.Get","status":404,"code":"X","method":"GET","path":"/p","attempts":1`
	const message = `livemigration: Migrations.Get: GET /p: 404 X`
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"nil":                   {nil, `null`},
		"own":                   {api, `{"kind":"api","message":"` + message + `",` + members + `}`},
		"wrapped":               {fmt.Errorf("my\ntool: %w", api), `{"kind":"api","message":"my tool: ` + message + `",` + members + `}`},
		"foreign":               {errors.New("disk\nfull"), `{"kind":"other","message":"disk full"}`},
		"joined":                {errors.Join(api, errors.New("b")), `[{"kind":"api","message":"` + message + `",` + members + `},{"kind":"other","message":"b"}]`},
		"wrapped twice":         {fmt.Errorf("tool: %w, %w", errors.New("a"), errors.New("b")), `[{"kind":"other","message":"a"},{"kind":"other","message":"b"}]`},
		"its own JSON":          {ownError{"a"}, `{"fields":["a"]}`},
		"its own JSON, wrapped": {fmt.Errorf("tool: %w", ownError{"a"}), `{"fields":["a"],"message":"tool: own"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotPanics(t, func() { assert.JSONEq(t, tc.want, string(ErrorJSON(tc.err))) })
		})
	}
}

func TestRetryable(t *testing.T) {
	t.Parallel()
	atlas := func(status int, code string, header ...string) func(*http.Request) (*http.Response, error) {
		return reply(status, fmt.Sprintf(`{"error":%d,"errorCode":%q}`, status, code), header...)
	}
	for name, tc := range map[string]struct {
		step         func(*http.Request) (*http.Response, error)
		create, read bool
	}{
		"network":                 {down, false, true},
		"silence":                 {after(time.Hour, nil), false, true},
		"429":                     {reply(429, ""), true, true},
		"429 for a day":           {reply(429, "", "Retry-After", "86400"), true, true},
		"503 with Retry-After":    {atlas(503, "X", "Retry-After", "1"), true, true},
		"503 of a gateway":        {reply(503, "", "Retry-After", "1"), false, true},
		"405 during an upgrade":   {atlas(405, upgradeCode), true, true},
		"405":                     {atlas(405, "X"), false, false},
		"500":                     {atlas(500, "X"), false, true},
		"408":                     {reply(408, ""), false, true},
		"a page":                  {reply(200, "<html>"), false, true},
		"400":                     {atlas(400, "X"), false, false},
		"401":                     {atlas(401, "X"), false, false},
		"404":                     {atlas(404, "X"), false, false},
		"409":                     {atlas(409, "X"), false, false},
		"redirect":                {reply(307, "", "Location", "https://example.com"), false, false},
		"plain HTTP behind https": {fail(http.ErrSchemeMismatch), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := script(tc.step).client(t)
				_, err := client.Migrations.Create(t.Context(), destinationID, validRequest())
				assert.Equal(t, tc.create, Retryable(err), "create: %v", err)
				_, err = client.Migrations.Get(t.Context(), destinationID, validID)
				assert.Equal(t, tc.read, Retryable(fmt.Errorf("tool: %w", err)), "read: %v", err)
			})
		})
	}
	for _, err := range []error{nil, errors.New("x"), context.Canceled, &InvalidRequestError{}, &OutcomeUnknownError{Method: http.MethodPut}, &MigrationFailedError{}} {
		assert.False(t, Retryable(err), "%v", err)
	}
	assert.True(t, Retryable(&PacingError{}))
}

func TestTheLargestRetryPolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = math.MaxInt64
		policy := WithRetryPolicy(RetryPolicy{MaxAttempts: math.MaxInt, BaseBackoff: most, MaxBackoff: most, MaxRetryAfter: most})
		for _, step := range []func(*http.Request) (*http.Response, error){down, reply(429, ""), reply(429, "", "Retry-After", "99999999999")} {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Hour, cancel)
			s := script(step)
			start := time.Now()
			_, err := s.client(t, policy, WithAttemptTimeout(most)).Migrations.Get(ctx, destinationID, validID)
			require.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, time.Hour, time.Since(start))
			assert.Len(t, s.requests, 1)
		}
	})
}

// A zero value cannot work, and says so.
func TestZeroValues(t *testing.T) {
	t.Parallel()
	var client Client
	var source SourceClient
	for name, call := range map[string]func() error{
		"LinkTokens.Create": func() error {
			_, err := client.LinkTokens.Create(t.Context(), validID, LinkTokenRequest{})
			return err
		},
		"Migrations.Get": func() error {
			_, err := client.Migrations.Get(t.Context(), destinationID, validID)
			return err
		},
		"Migrations.Cutover": func() error { return client.Migrations.Cutover(t.Context(), destinationID, validID) },
		"Migrations.WaitComplete": func() error {
			_, err := client.Migrations.WaitComplete(t.Context(), destinationID, validID)
			return err
		},
		"Validations.Run": func() error {
			_, err := client.Validations.Run(t.Context(), destinationID, validRequest())
			return err
		},
		"a service": func() error {
			_, err := new(MigrationsService).Get(t.Context(), destinationID, validID)
			return err
		},
		"MigrationLink.Status": func() error {
			_, err := source.MigrationLink.Status(t.Context(), validID)
			return err
		},
		"RevokeToken": func() error { return client.RevokeToken(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			assert.NotPanics(t, func() { assert.Regexp(t, "New(Source)?Client", fmt.Sprint(call())) })
		})
	}
	assert.NotPanics(t, func() {
		client.CloseIdleConnections()
		source.CloseIdleConnections()
		assert.NotContains(t, fmt.Sprint(&client, &source), "PANIC")
	})
}
