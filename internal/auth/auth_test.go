package auth

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConcerns(t *testing.T) {
	t.Parallel()
	parse := func(s string) *url.URL {
		u, err := url.Parse(s)
		require.NoError(t, err)
		return u
	}
	origin := parse("https://atlas.example")
	for target, want := range map[string]bool{
		"https://atlas.example/a": true, "HTTPS://atlas.example/a": true,
		"http://atlas.example/a": false, "https://atlas.example:444/": false, "https://b.example/": false, "": false,
	} {
		assert.Equal(t, want, Concerns(origin, &http.Request{URL: parse(target), Header: http.Header{}}), target)
	}
	assert.False(t, Concerns(origin, &http.Request{URL: origin}), "net/http rejects a request without headers")
	assert.False(t, Concerns(origin, &http.Request{URL: origin, Header: http.Header{"Authorization": {"x"}}}))
}

func TestIsUnsent(t *testing.T) {
	t.Parallel()
	mark, other := &Unsent{io.EOF}, errors.New("other")
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"marked": {mark, true}, "wrapped": {fmt.Errorf("a: %w", mark), true}, "all of several": {errors.Join(mark, mark), true},
		"none": {nil, false}, "another": {other, false}, "one of several": {errors.Join(mark, other), false},
		"hidden": {errors.New(mark.Error()), false}, "joined of nothing": {nothing{}, false},
	} {
		assert.Equal(t, tc.want, IsUnsent(tc.err), name)
	}
	assert.ErrorIs(t, mark, io.EOF)
}

// nothing is an error that joins none.
type nothing struct{}

func (nothing) Error() string   { return "" }
func (nothing) Unwrap() []error { return nil }

// endless is a body that never ends.
type endless struct{ read, closed int }

func (b *endless) Read(p []byte) (int, error) {
	b.read += len(p)
	return len(p), nil
}

func (b *endless) Close() error {
	b.closed++
	return nil
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	Discard(&http.Response{})
	body := new(endless)
	Discard(&http.Response{Body: body})
	assert.Equal(t, 64<<10, body.read, "only the beginning of an endless body is read")
	assert.Equal(t, 1, body.closed)
}
