package digest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChanges(t *testing.T) {
	t.Parallel()
	const post = "POST body" // the calls are "method body"
	created, ok, noChallenge := step{status: 201}, step{status: 200}, step{status: 401}
	reset := step{err: errors.New("connection reset")}
	tests := []struct {
		name  string
		calls []string
		steps []step
		sent  []string
		got   []string
	}{
		{"each asks for its own challenge", []string{post, "PUT", "DELETE"},
			[]step{challenged("a"), created, challenged("b"), ok, challenged("c"), {status: 204}},
			[]string{"POST -", "POST a/1 body", "PUT -", "PUT b/1", "DELETE -", "DELETE c/1"}, []string{"201", "200", "204"}},
		{"RFC 2069", []string{post}, []step{{status: 401, challenge: `Digest realm="r", nonce="a", op="auth"`}, created},
			[]string{"POST -", "POST a/ body"}, []string{"201"}},
		{"reads keep their nonce", []string{"GET", post, "GET"}, []step{challenged("a"), ok, challenged("b"), created, ok},
			[]string{"GET -", "GET a/1", "POST -", "POST b/1 body", "GET a/2"}, []string{"200", "201", "200"}},
		{"a server with one nonce for all", []string{"GET", post, "GET"}, []step{challenged("a"), ok, challenged("a"), created, ok},
			[]string{"GET -", "GET a/1", "POST -", "POST a/2 body", "GET a/3"}, []string{"200", "201", "200"}},
		{"rejected", []string{post}, []step{challenged("a"), challenged("b")},
			[]string{"POST -", "POST a/1 body"}, []string{"401"}},
		{"rejected, accepted before", []string{post, post}, []step{challenged("a"), created, challenged("b"), challenged("c")},
			[]string{"POST -", "POST a/1 body", "POST -", "POST b/1 body"}, []string{"201", "401"}},
		{"stale, although the nonce is fresh", []string{post}, []step{challenged("a"), stale("b")},
			[]string{"POST -", "POST a/1 body"}, []string{"401"}},
		{"missing role without a challenge", []string{post}, []step{challenged("a"), noChallenge},
			[]string{"POST -", "POST a/1 body"}, []string{"401"}},
		{"nothing to answer", []string{post, post, "DELETE"},
			[]step{noChallenge, {status: 401, challenge: `Basic realm="r"`}, {status: 401, challenge: `Digest nonce="n", qop="auth-int"`}},
			[]string{"POST -", "POST -", "DELETE -"}, []string{"401", "401", "401"}},
		{"not challenged", []string{post, "DELETE", "GET"}, []step{ok, {status: 204}, ok},
			[]string{"POST -", "DELETE -", "GET -"}, []string{ErrNotChallenged.Error(), ErrNotChallenged.Error(), "200"}},
		{"no connection for the challenge", []string{post}, []step{reset},
			[]string{"POST -"}, []string{"connection reset"}},
		{"no connection for the change", []string{post}, []step{challenged("a"), reset},
			[]string{"POST -", "POST a/1 body"}, []string{"connection reset"}},
		{"the cookie of its own challenge", []string{"GET", post, "GET"},
			[]step{challenged("a").withCookie("node=1"), ok, challenged("b").withCookie("node=2"), created, ok},
			[]string{"GET -", "GET a/1 [node=1]", "POST -", "POST b/1 body [node=2]", "GET a/2 [node=1]"}, []string{"200", "201", "200"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &script{t: t, steps: tt.steps}
			transport := newTransport(t, testOrigin, s)
			var got []string
			for _, c := range tt.calls {
				method, body, _ := strings.Cut(c, " ")
				got = append(got, call(t, transport, method, body))
			}
			assert.Equal(t, tt.got, got)
			assert.Equal(t, tt.sent, s.sent)
			s.finish()
		})
	}
}

func TestTheRequestForAChallenge(t *testing.T) {
	t.Parallel()
	var got []*http.Request
	errEnough := errors.New("enough")
	transport := newTransport(t, testOrigin, roundTripFunc(func(req *http.Request) (*http.Response, error) {
		got = append(got, req)
		return nil, errEnough
	}))
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	req, err := http.NewRequestWithContext(ctx, "PUT", testOrigin+"/a%20b?pretty=true", strings.NewReader("body"))
	require.NoError(t, err)
	req.Header = http.Header{"Content-Type": {"x"}, "Expect": {"100-continue"}, "Accept": {"y"}, "Cookie": {"jar=1"}}
	_, err = transport.RoundTrip(req)
	require.ErrorIs(t, err, errEnough)
	require.Len(t, got, 1)
	assert.Equal(t, http.Header{"Accept": {"y"}, "Cookie": {"jar=1"}}, got[0].Header)
	assert.Equal(t, "PUT", got[0].Method)
	assert.Equal(t, req.URL, got[0].URL)
	assert.Equal(t, http.NoBody, got[0].Body)
	assert.Zero(t, got[0].ContentLength)
	assert.Nil(t, got[0].GetBody)
	assert.Equal(t, "value", got[0].Context().Value(key{}), "traces and deadlines of the request apply")
}
