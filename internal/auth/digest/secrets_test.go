package digest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCnoncesAreRandom(t *testing.T) {
	t.Parallel()
	transport := newTestTransport(t, http.DefaultTransport)
	seen := make(map[string]bool)
	for range 100 {
		seen[transport.newCnonce()] = true
	}
	assert.Len(t, seen, 100)
}

// Printing a Transport, or following all its pointers as debuggers do, must not show a secret.
func TestTransportHidesItsSecrets(t *testing.T) {
	t.Parallel()
	s := newServer()
	transport := newTestTransport(t, &inProcess{handler: http.NotFoundHandler()})
	transport.newCnonce = func() string { return "the-cnonce" }
	transport.base = &inProcess{handler: s}
	call(t, transport, newRequest(t, "GET", "/", ""))
	transport.base = http.DefaultTransport // the server of the test knows the password

	live := transport.live()
	var dump bytes.Buffer
	for _, v := range []any{transport, live} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			fmt.Fprintf(&dump, verb, v)
		}
	}
	dumpValue(&dump, reflect.ValueOf(transport).Elem().FieldByName("credentials"))
	dumpValue(&dump, reflect.ValueOf(transport).Elem().FieldByName("session"))
	dumpValue(&dump, reflect.ValueOf(transport).Elem().FieldByName("origin"))
	dumpValue(&dump, reflect.ValueOf(live))
	require.Contains(t, dump.String(), "atlas.example", "the dump works")
	secrets := []string{testUsername, testPassword, "nonce-1", "the-cnonce", live.keys().ha1, s.opaque}
	for _, secret := range secrets {
		assert.NotContains(t, dump.String(), secret)
	}
}

// dumpValue prints what can be reached from v through pointers, structs and interfaces.
func dumpValue(w io.Writer, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			dumpValue(w, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fmt.Fprintf(w, "%s: ", v.Type().Field(i).Name)
			dumpValue(w, v.Field(i))
		}
	default:
		fmt.Fprintf(w, "%v ", v)
	}
}

func TestWhatTheTransportTells(t *testing.T) {
	t.Parallel()
	transport := newTestTransport(t, &inProcess{handler: newServer()})
	assert.Equal(t, []string{testUsername, testPassword}, transport.Secrets())
	assert.True(t, transport.CountsRequests())
	for line, want := range map[string]struct {
		stale       bool
		explanation string
	}{
		`Digest realm="r", nonce="n", stale=true`: {true, ""},
		`Digest realm="r", nonce="n"`:             {false, ""},
		`Basic realm="r"`:                         {false, "the server offers no Digest challenge that this client supports"},
	} {
		stale, explanation := transport.Explain(challengeHeader(line))
		assert.Equal(t, want.stale, stale, line)
		assert.Equal(t, want.explanation, explanation, line)
	}
}
