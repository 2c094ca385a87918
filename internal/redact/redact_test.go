package redact

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryFormOfASecretIsRedacted(t *testing.T) {
	t.Parallel()
	r := New([]string{"", `p"a<s&s w/d`, "other"})
	for name, text := range map[string]string{
		"plain":                     `p"a<s&s w/d`,
		"JSON":                      `p\"a\u003cs\u0026s w/d`,
		"JSON without HTML escapes": `p\"a<s&s w/d`,
		"JSON with escaped slashes": `p\"a<s&s w\/d`,
		"query":                     "p%22a%3Cs%26s+w%2Fd",
		"query in lower case":       "p%22a%3cs%26s+w%2fd",
		"path":                      "p%22a%3Cs&s%20w%2Fd",
		"path in lower case":        "p%22a%3cs&s%20w%2fd",
		"HTML":                      "p&#34;a&lt;s&amp;s w/d",
		"another secret":            "other",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, "a [REDACTED] b", r.Redact("a "+text+" b"))
		})
	}
	assert.Equal(t, "nothing", r.Redact("nothing"))
	assert.Equal(t, "[REDACTED]", New([]string{"hunter2ä"}).Redact(`hunter2\u00e4`), "JSON in ASCII")
	assert.Equal(t, "[REDACTED] [REDACTED]", New([]string{"abc", "abcdef"}).Redact("abcdef abc"), "the longest secret goes first")
}

func TestProofsOfAnAuthorizationAreRedacted(t *testing.T) {
	t.Parallel()
	r := New(nil)
	for name, tc := range map[string]struct{ text, want string }{
		"quoted":               {`Digest username="u", nonce="n", uri="/a"`, `Digest username=[REDACTED], nonce=[REDACTED], uri="/a"`},
		"token":                {`cnonce=s3cret, nc=00000001`, `cnonce=[REDACTED], nc=00000001`},
		"escaped quote within": {`nonce="a\"b", x`, `nonce=[REDACTED], x`},
		"in JSON":              {`"Digest response=\"s3cret\", uri"`, `"Digest response=[REDACTED], uri"`},
		"in HTML by name":      {`nextnonce=&quot;s3cret&quot; x`, `nextnonce=[REDACTED] x`},
		"in HTML by number":    {`opaque=&#34;s3cret&#34; x`, `opaque=[REDACTED] x`},
		"extended user name":   {`username*=UTF-8''s3cret, x`, `username*=[REDACTED], x`},
		"unterminated":         {`nonce="s3cret`, `nonce=[REDACTED]`},
		"upper case":           {`NONCE = "s3cret"`, `NONCE=[REDACTED]`},
		"another name":         {`announce="kept"`, `announce="kept"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, r.Redact(tc.text))
		})
	}
}

func TestCleanValue(t *testing.T) {
	t.Parallel()
	r := New([]string{"hunter2"})
	value := []any{"hunter2\r\n", 55.0, nil, true, map[string]any{"hunter2": []any{"a hunter2"}}}
	want := []any{"[REDACTED]", 55.0, nil, true, map[string]any{"[REDACTED]": []any{"a [REDACTED]"}}}
	assert.Equal(t, want, r.CleanValue(value))
}

func TestErrorIsCleanInside(t *testing.T) {
	t.Parallel()
	r := New([]string{"hunter2"})
	clean := fmt.Errorf("read: %w", io.EOF)
	assert.Same(t, clean, r.Error(clean))

	raw := &url.Error{Op: "Get", URL: "https://u:p4ss@a", Err: fmt.Errorf("hunter2\n%w", io.EOF)}
	err := r.Error(raw)
	require.EqualError(t, err, `Get "https://[REDACTED]@a": [REDACTED] EOF`)
	require.ErrorIs(t, err, io.EOF)
	require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotErrorAs(t, err, new(*url.Error), "its text is not clean")
	require.NotErrorAs(t, err, new(*strconv.NumError))
	var network net.Error
	require.ErrorAs(t, err, &network)
	assert.Equal(t, err.Error(), network.Error())
	assert.False(t, network.Timeout())
	var inside *os.SyscallError
	late := r.Error(fmt.Errorf("hunter2: %w", &os.SyscallError{Syscall: "read", Err: syscall.ETIMEDOUT}))
	require.ErrorAs(t, late, &inside, "what shows nothing is found")
	require.ErrorAs(t, late, &network)
	assert.True(t, network.Timeout())
	require.NoError(t, errors.Unwrap(err))
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		assert.NotContains(t, fmt.Sprintf(verb, err), "hunter2")
	}
}

func TestCacheKeepsTheLastRedactor(t *testing.T) {
	t.Parallel()
	var cache Cache
	first := cache.Get([]string{"hunter2"})
	assert.Same(t, first, cache.Get([]string{"hunter2"}))
	other := cache.Get([]string{"hunter2", "another"})
	assert.NotSame(t, first, other)
	assert.Equal(t, "[REDACTED]", other.Redact("another"))
	assert.NotSame(t, first, cache.Get([]string{"hunter2"}), "only the last one is kept")
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		assert.NotContains(t, fmt.Sprintf(verb, &cache), "hunter2")
	}
}

func TestCacheIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	var cache Cache
	var all sync.WaitGroup
	for _, secret := range []string{"secret-1", "secret-2", "secret-3"} {
		all.Go(func() {
			for range 100 {
				assert.Equal(t, "[REDACTED]", cache.Get([]string{secret}).Redact(secret))
			}
		})
	}
	all.Wait()
}

func TestLine(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"line breaks":          {"a\r\nb\n\nc", "a b c"},
		"space at both ends":   {"\n a ", "a"},
		"control characters":   {"a\x1b[31mb\x00\u202ec", "a [31mb c"},
		"not UTF-8":            {"a\xffb", "a b"},
		"as long as is kept":   {strings.Repeat("é", maxMessage), strings.Repeat("é", maxMessage)},
		"longer than is kept":  {strings.Repeat("é", maxMessage+1), strings.Repeat("é", maxMessage) + "…"},
		"nothing":              {"", ""},
		"nothing but controls": {"\n\t\x00", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, Line(tc.text))
			assert.Equal(t, tc.want, New(nil).Clean(tc.text))
		})
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ secret, body, want string }{
		"text":                     {"", "oops", "oops"},
		"HTML page":                {"", "<html><head><STYLE>b{c:d}</style><title>502</title></head>\n<body><script>x<y</script><h1>Bad  Gateway</h1>\n</body>", "502 Bad Gateway"},
		"end in upper case":        {"", "a<Style x>b</STYLE >c<styles>d", "a c d"},
		"element that never ends":  {"", "a<script>x", "a"},
		"long":                     {"", strings.Repeat("é", 5000), strings.Repeat("é", maxExcerpt) + "…"},
		"secret at the cut":        {"hunter2-s3cret", strings.Repeat("x", 190) + "hunter2-s3cret", strings.Repeat("x", 190) + "[REDACTED]"},
		"secret with mark-up":      {"hun<ter2>s3cret", "got hun<ter2>s3cret", "got [REDACTED]"},
		"secret beyond what shows": {"hunter2s3cret", "<style>" + strings.Repeat("x", 16<<10-25) + "</style>pw hunter2s3cret", "pw [REDACT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, New([]string{tc.secret}).Excerpt([]byte(tc.body)))
		})
	}
}
