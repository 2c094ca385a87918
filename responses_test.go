package livemigration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEnvelopes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body   string
		status int // of the error; 0: success
	}{
		"success":                    {`{"status":200,"content":` + migrationJSON + `}`, 0},
		"error inside a success":     {`{"status":404,"content":{"errorCode":"RESOURCE_NOT_FOUND","error":404}}`, 404},
		"an error without a content": {`{"status":503}`, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := script(reply(200, tc.body))
			var resp Response
			m, err := s.client(t, once).Migrations.Get(t.Context(), destinationID, validID, WithEnvelope(), WithPretty(), CaptureResponse(&resp))
			assert.Equal(t, "envelope=true&pretty=true", s.requests[0].URL.RawQuery)
			assert.Equal(t, cmp.Or(tc.status, 200), resp.StatusCode)
			if tc.status != 0 {
				var api *APIError
				require.ErrorAs(t, err, &api)
				assert.Equal(t, tc.status, api.StatusCode)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, MigrationWorking, m.Status)
		})
	}
	client := script(reply(200, `{"status":204,"content":null}`), reply(200, `{"status":409,"content":{"errorCode":"X"}}`)).client(t, once)
	require.NoError(t, client.LinkTokens.Delete(t.Context(), validID, WithEnvelope()))
	require.ErrorIs(t, client.LinkTokens.Delete(t.Context(), validID, WithEnvelope()), ErrConflict)
}

func TestResponsesAreCaptured(t *testing.T) {
	t.Parallel()
	var resp Response
	s := script(
		reply(200, migrationJSON, "RateLimit-Limit", "100", "RateLimit-Remaining", "0", "WWW-Authenticate", `Digest nonce="n0nce"`, "X-Java-Method", "m"),
		reply(404, "", "RateLimit-Limit", "many", "RateLimit-Remaining", "-3"),
		fail(errors.New("no route")),
	)
	client := s.client(t, once, WithoutPacing())
	_, err := client.Migrations.Get(t.Context(), destinationID, validID, CaptureResponse(&resp), CaptureResponse(nil), CaptureResponse(&resp))
	require.NoError(t, err)
	assert.Equal(t, Response{200, http.Header{"Ratelimit-Limit": {"100"}, "Ratelimit-Remaining": {"0"}, "X-Java-Method": {"m"}}, 1, RateLimit{100, 0}}, resp)

	_, err = client.Migrations.Get(t.Context(), destinationID, validID, CaptureResponse(&resp))
	require.Error(t, err)
	assert.Equal(t, 404, resp.StatusCode)
	assert.Equal(t, RateLimit{-1, -1}, resp.RateLimit)

	_, err = client.Migrations.Get(t.Context(), destinationID, validID, CaptureResponse(&resp))
	require.EqualError(t, err, "livemigration: Migrations.Get: GET "+getPath+": no route")
	assert.Equal(t, Response{Attempts: 1, RateLimit: RateLimit{-1, -1}}, resp)

	resp.StatusCode = 7
	_, err = client.Migrations.Get(t.Context(), "", validID, CaptureResponse(&resp))
	require.ErrorIs(t, err, ErrInvalidRequest)
	assert.Equal(t, Response{RateLimit: RateLimit{-1, -1}}, resp)
}

func TestAResponseAboutAnotherJobIsUnusable(t *testing.T) {
	t.Parallel()
	const other = "ffffffffffffffffffffffff"
	_, err := script(reply(200, `{"_id":"`+other+`","status":"COMPLETE"}`)).client(t, once).Migrations.Get(t.Context(), destinationID, validID)
	require.ErrorContains(t, err, "it is about another job")
	_, err = script(reply(200, `{"_id":"`+other+`","status":"SUCCESS"}`)).client(t, once).Validations.Get(t.Context(), destinationID, validID)
	require.ErrorContains(t, err, "it is about another job")
}

// Atlas does not list jobs, so an ID is used whatever else is in the response.
func TestTheIDOfACreatedJobIsNotLost(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a number that is too precise": `{"_id":"` + validID + `","status":"NEW","lagTimeSeconds":1.5}`,
		"text for a truth value":       `{"readyForCutover":"false","_id":"` + validID + `"}`,
		"an object for the hosts":      `{"migrationHosts":{"a":[1]},"_id":"` + validID + `","status":3}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := script(reply(201, body)).client(t).Migrations.Create(t.Context(), destinationID, validRequest())
			require.NoError(t, err)
			assert.EqualValues(t, validID, m.ID)
			v, err := script(reply(200, strings.Replace(body, `}`, `,"groupId":7}`, 1))).client(t).Validations.Create(t.Context(), destinationID, validRequest())
			require.NoError(t, err)
			assert.EqualValues(t, validID, v.ID)
		})
	}
}

func TestASuccessThatIsAPageIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		page := reply(200, "<html>please log in</html>")
		client := script(page).client(t)
		require.ErrorContains(t, client.Migrations.Cutover(t.Context(), destinationID, validID), "instead of JSON")
		require.ErrorContains(t, client.LinkTokens.Delete(t.Context(), validID), "instead of JSON")
		for _, body := range []string{"", " \n", `{"_id":"x"}`} {
			require.NoError(t, script(page, reply(202, body)).client(t).Migrations.Cutover(t.Context(), destinationID, validID))
		}
	})
	cut := func(body string) func(*http.Request) (*http.Response, error) {
		return func(req *http.Request) (*http.Response, error) {
			resp := newResponse(req, 200, nil, "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF)))
			return resp, nil
		}
	}
	huge := func(req *http.Request) (*http.Response, error) {
		resp := newResponse(req, 200, nil, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("<html>"), &endless{left: 5 << 20}))
		return resp, nil
	}
	cutover := func(step func(*http.Request) (*http.Response, error), opts ...CallOption) error {
		return script(step).client(t, once).Migrations.Cutover(t.Context(), destinationID, validID, opts...)
	}
	require.ErrorContains(t, cutover(cut("<html>please")), "instead of JSON")
	require.ErrorContains(t, cutover(huge), "instead of JSON")
	require.ErrorContains(t, cutover(reply(200, "<html>please log in</html>"), WithEnvelope()), `unexpected response: 200 ("please log in") instead of JSON`)
	require.ErrorIs(t, cutover(cut(`{"status":200`), WithEnvelope()), io.ErrUnexpectedEOF)
	require.NoError(t, cutover(cut(`{"_id":"`+validID+`","sta`)), "the beginning of the response of v1.0")
	require.ErrorIs(t, cutover(cut(`{"error":409,"errorC`)), io.ErrUnexpectedEOF)
	require.NoError(t, cutover(cut("")))
	require.ErrorContains(t, cutover(reply(202, ""), WithEnvelope()), "the response has no envelope, although the request asked for one")
	require.NoError(t, cutover(reply(202, "")))
}

// A cutover that is wrongly taken for done lets a user open the source for writes again.
func TestACutoverWithAnErrorIsNotDone(t *testing.T) {
	t.Parallel()
	cutover := func(body string) error {
		return script(reply(200, body)).client(t, once).Migrations.Cutover(t.Context(), destinationID, validID)
	}
	require.ErrorContains(t, cutover(`{"errorCode":"NOT_READY","detail":"too early"}`), "unexpected response: 200: error NOT_READY: too early")
	require.ErrorIs(t, cutover(`{"error":409,"errorCode":"NOT_READY","status":"x"}`), ErrConflict)
	require.NoError(t, cutover(`{"_id":"`+validID+`","groupId":"`+validID+`","sourceGroupId":"`+validID+`","status":"PENDING"}`))
}

// A failure may hide in a success, with an envelope and without.
func TestAnErrorInsideASuccessIsThatError(t *testing.T) {
	t.Parallel()
	const inside = `{"error":409,"errorCode":"NOT_READY","detail":"not ready for cutover"}`
	for name, step := range map[string]func(*http.Request) (*http.Response, error){
		"plain": reply(200, inside), "accepted": reply(202, inside),
		"in an envelope": reply(200, `{"status":200,"content":`+inside+`}`), "around it": reply(200, `{"status":409,"content":`+inside+`}`),
	} {
		var opts []CallOption
		if strings.Contains(name, " ") {
			opts = append(opts, WithEnvelope())
		}
		c := script(step).client(t)
		_, list := c.AvailableProjects.List(t.Context(), validID, opts...)
		_, token := c.LinkTokens.Create(t.Context(), validID, LinkTokenRequest{}, opts...)
		_, create := c.Migrations.Create(t.Context(), destinationID, validRequest(), opts...)
		_, get := c.Migrations.Get(t.Context(), destinationID, validID, opts...)
		cutover := c.Migrations.Cutover(t.Context(), destinationID, validID, opts...)
		for operation, err := range map[string]error{
			"AvailableProjects.List": list, "LinkTokens.Create": token, "Migrations.Create": create, "Migrations.Get": get, "Migrations.Cutover": cutover,
		} {
			require.ErrorIs(t, err, ErrConflict, name)
			assert.NotErrorIs(t, err, ErrOutcomeUnknown, name)
			assert.ErrorContains(t, err, operation+": ", name)
			assert.ErrorContains(t, err, ": 409 NOT_READY: not ready for cutover", name)
		}
	}
}

// A value of an unexpected type must not cost the ID and the status.
func TestOddValuesAreLeftOut(t *testing.T) {
	t.Parallel()
	lag := int64(12)
	const start = `{"_id":"` + validID + `",`
	for body, want := range map[string]Migration{
		start + `"status":"WORKING","lagTimeSeconds":12.0,"readyForCutover":true}`:   {ID: validID, Status: MigrationWorking, ReadyForCutover: true, LagTimeSeconds: &lag},
		start + `"status":"WORKING","lagTimeSeconds":"12","readyForCutover":"true"}`: {ID: validID, Status: MigrationWorking},
		start + `"status":null,"lagTimeSeconds":{"a":1},"readyForCutover":true}`:     {ID: validID, ReadyForCutover: true},
		"\ufeff" + start + `"status":"NEW"}`:                                         {ID: validID, Status: MigrationNew},
	} {
		m, err := script(reply(200, body)).client(t, once).Migrations.Get(t.Context(), destinationID, validID)
		require.NoError(t, err, body)
		assert.Equal(t, want, *m, body)
	}
	projects, err := script(reply(200, `[{"name":"a","deployments":[{"name":"c","oplogSizeMB":"990","shardsSize":{},"dbSizeBytes":"big","sharded":true}]}]`)).
		client(t, once).AvailableProjects.List(t.Context(), validID)
	require.NoError(t, err)
	assert.Equal(t, []Deployment{{Name: "c", Sharded: true}}, projects[0].Deployments)
	_, err = script(reply(200, `{"_id":[],"status":7}`)).client(t, once).Validations.Get(t.Context(), destinationID, validID)
	require.ErrorContains(t, err, "no _id and no status in it")
}

func TestTheIDOfAJobSurvivesTheEndOfTheContext(t *testing.T) {
	t.Parallel()
	half := func(req *http.Request) (*http.Response, error) {
		resp := newResponse(req, 201, nil, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"_id":"`+validID+`","status":"NEW",`), untilDone{req.Context()}))
		return resp, nil
	}
	for name, limit := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		},
		"the time of the attempt": context.WithCancel,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := limit(t.Context())
				defer cancel()
				_, err := script(half).client(t).Migrations.Create(ctx, destinationID, validRequest())
				var unknown *OutcomeUnknownError
				require.ErrorAs(t, err, &unknown)
				assert.Equal(t, validID, unknown.ID)
				assert.Equal(t, name == "deadline", errors.Is(err, context.DeadlineExceeded))
			})
		})
	}
}

// untilDone is the rest of a body that does not come.
type untilDone struct{ ctx context.Context }

func (r untilDone) Read([]byte) (int, error) {
	<-r.ctx.Done()
	return 0, r.ctx.Err()
}

func TestUnusableResponsesToReadsAreRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, body := range []string{"", "<html>", migrationJSON[:40], `"text"`, `{"status":null}`} {
			s := script(reply(200, body), reply(200, migrationJSON))
			m, err := s.client(t).Migrations.Get(t.Context(), destinationID, validID)
			require.NoError(t, err, body)
			assert.Equal(t, MigrationWorking, m.Status)
			assert.Len(t, s.requests, 2)

			s = script(reply(200, body))
			_, err = s.client(t).Migrations.Get(t.Context(), destinationID, validID)
			assert.Regexp(t, `: unexpected response: .* \(after 5 attempts\)$`, fmt.Sprint(err))
			assert.Len(t, s.requests, 5)
		}
	})
}

func TestARetriedReadKeepsNothingOfTheAttemptBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := script(reply(200, `{"lagTimeSeconds":12,"readyForCutover":true,"status":5}`), reply(200, `{"_id":"`+validID+`","status":"COMPLETE"}`))
		m, err := s.client(t).Migrations.Get(t.Context(), destinationID, validID)
		require.NoError(t, err)
		assert.Equal(t, Migration{ID: validID, Status: MigrationComplete}, *m)
	})
}

// endless is a body of so many bytes that are never in memory at once.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), e.left))
	for i := range n {
		p[i] = ' '
	}
	e.left -= int64(n)
	return n, nil
}

func (*endless) Close() error { return nil }
