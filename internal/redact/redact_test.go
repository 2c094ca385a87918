package redact

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryFormOfASecretIsRedacted(t *testing.T) {
	t.Parallel()
	r := New([]string{"", "abc", `p"a<s&s'w/d ä`, "other", "other-longer", "😀key"})
	for name, text := range map[string]string{
		"plain":                     `p"a<s&s'w/d ä`,
		"JSON":                      `p\"a\u003cs\u0026s'w/d ä`,
		"JSON without HTML escapes": `p\"a<s&s'w/d ä`,
		"JSON with escaped slashes": `p\"a<s&s'w\/d ä`,
		"JSON in ASCII":             `p\"a\u003Cs\u0026s\u0027w/d \u00E4`,
		"JSON in JSON":              `p\\\"a\\u003cs\\u0026s'w\\/d ä`,
		"pairs of surrogates":       `\ud83d\ude00key`,
		"query":                     "p%22a%3Cs%26s%27w%2Fd+%C3%A4",
		"query in lower case":       "p%22a%3cs%26s%27w%2fd+%c3%a4",
		"path":                      "p%22a%3Cs&s%27w%2Fd%20%C3%A4",
		"HTML":                      "p&#34;a&lt;s&amp;s&#39;w/d ä",
		"HTML by name":              "p&quot;a&lt;s&amp;s&apos;w/d ä",
		"HTML in hexadecimal":       "p&#x22;a&#x3C;s&#x26;s&#x27;w/d &#xe4;",
		"HTML with a zero":          "p&#034;a&lt;s&amp;s&#x027;w/d ä",
		"another secret":            "other",
		"the longer one":            "other-longer",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, "a [REDACTED] b", r.Redact("a "+text+" b"))
		})
	}
	assert.Equal(t, "abc Other", r.Redact("abc Other"), "a secret of 3 characters is ignored, and letters have their case")
	assert.Equal(t, "a [REDACTED]", New([]string{"k\ney"}).Redact(`a k\ney`))
	assert.Equal(t, "nothing", New(nil).Redact("nothing"))
	assert.Equal(t, Mark, New([]string{strings.Repeat("/", 1<<14)}).Redact("a\nb"), "nothing shows where a secret is too long")
}

func TestARedactorDoesNotPrintItsSecrets(t *testing.T) {
	t.Parallel()
	r := New([]string{"hunter2"})
	for _, value := range []any{r, *r, struct{ r *Redactor }{r}, struct{ R Redactor }{*r}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			assert.NotContains(t, fmt.Sprintf(verb, value), "hunter2")
			assert.NotContains(t, fmt.Sprintf(verb, value), fmt.Sprintf("%x", "hunter2"))
		}
	}
}

func TestUserinfoOfURIs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"plain":              {"cannot reach mongodb://user:s3cret@vm001:27017/db now", "cannot reach mongodb://[REDACTED]@vm001:27017/db now"},
		"SRV":                {"mongodb+srv://user:pa%2Fs%40s@vm001/?a=b", "mongodb+srv://[REDACTED]@vm001/?a=b"},
		"several hosts":      {"mongodb://user:s3cret@vm001:27017,vm002:27018/db", "mongodb://[REDACTED]@vm001:27017,vm002:27018/db"},
		"user alone":         {"https://t0ken@[::1]:27017", "https://[REDACTED]@[::1]:27017"},
		"unencoded password": {"redis://:s3@c/r:e?t#'@vm001", "redis://[REDACTED]@vm001"},
		"another line":       {"mongodb://user:s3@vm001\nmongodb://user:s4@vm002", "mongodb://[REDACTED]@vm001\nmongodb://[REDACTED]@vm002"},
		"several in a word":  {"mongodb://a:s3@vm001,mongodb://b:s4@vm002", "mongodb://[REDACTED]@vm002"},
		"redacted before":    {"mongodb://user:[REDACTED]@vm001", "mongodb://[REDACTED]@vm001"},
		"in JSON": {`{"uri":"mongodb://u:s3@vm001","mail":"a@b.example"}`,
			`{"uri":"mongodb://[REDACTED]@vm001","mail":"a@b.example"}`},
		"escaped slashes":      {`"mongodb:\/\/user:pa\/ss\"@vm001\/db"`, `"mongodb:\/\/[REDACTED]@vm001\/db"`},
		"JSON in JSON":         {`"{\"a\":\"mongodb:\\/\\/user:s3cret@vm001\"}"`, `"{\"a\":\"mongodb:\\/\\/[REDACTED]@vm001\"}"`},
		"in a tag":             {`<a href=https://u:s3cret@vm001>a@b.example</a>`, `<a href=https://[REDACTED]@vm001>a@b.example</a>`},
		"percent-encoded":      {"mongodb%3A%2F%2Fuser%3Apa%252Fss%40vm001%2Fdb", "mongodb%3A%2F%2F[REDACTED]%40vm001%2Fdb"},
		"encoded, lower case":  {"mongodb%2bsrv%3a%2f%2fu%3ap%40vm001 or a@b", "mongodb%2bsrv%3a%2f%2f[REDACTED]%40vm001 or a@b"},
		"encoded at sign":      {"mongodb://user:s3cret%40vm001", "mongodb://[REDACTED]%40vm001"},
		"address of a person":  {"see https://a.example:443/b, or mailto:c@a.example", "see https://a.example:443/b, or mailto:c@a.example"},
		"no user":              {"mongodb://vm001:27017,vm002:27018/db?replicaSet=a", "mongodb://vm001:27017,vm002:27018/db?replicaSet=a"},
		"comment with an at":   {"a: //b@c file:/a:b@c", "a: //b@c file:/a:b@c"},
		"nothing but its mark": {"://", "://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := New(nil).Redact(tc.text)
			assert.Equal(t, tc.want, got)
			assert.Equal(t, tc.want, New(nil).Redact(got), "a second time changes nothing")
		})
	}
}

func TestProofsOfAnAuthorization(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"header":       {`Digest nonce="n+/=", uri="/a", Response="s3"`, `Digest nonce=[REDACTED]", uri="/a", Response=[REDACTED]"`},
		"in JSON":      {`"Digest cnonce=\"s3cret\", nc=1"`, `"Digest cnonce=[REDACTED]\", nc=1"`},
		"in HTML":      {`nextnonce=&quot;s3&quot; opaque=&#34;s4&#34; x`, `nextnonce=[REDACTED]&quot; opaque=[REDACTED]&#34; x`},
		"unterminated": {`nonce="s3cret`, `nonce=[REDACTED]`},
		"other names":  {`announce="kept" response: kept`, `announce="kept" response: kept`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, New(nil).Redact(tc.text))
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	r := New([]string{"hunter2"})
	clean := fmt.Errorf("read: %w", io.EOF)
	assert.Same(t, clean, r.Error(clean))

	server := &net.OpError{Op: "read", Net: "tcp", Err: errors.Join(syscall.ECONNRESET, errors.New("hunter2"), io.EOF)}
	err := r.Error(&url.Error{Op: "Get", URL: "https://u:p4ss@a", Err: fmt.Errorf("hunter2\n%w", server)})
	require.ErrorContains(t, err, `Get "https://[REDACTED]@a": [REDACTED] read tcp: connection reset by peer`)
	require.ErrorIs(t, err, io.EOF)
	require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, errors.Unwrap(err))
	require.NotErrorAs(t, err, new(*url.Error), "it shows the password")
	require.NotErrorAs(t, err, new(*net.OpError), "it leads to any other cause")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		shown := fmt.Sprintf(verb, err) + fmt.Sprintf(verb, struct{ e error }{err})
		assert.NotContains(t, shown, "hunter2")
		assert.NotContains(t, shown, fmt.Sprintf("%x", "hunter2"))
	}
	assert.Equal(t, err.Error(), fmt.Sprint(err))
}

func TestLine(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"line breaks":          {"a\r\nb\n\nc", "a b c"},
		"space at both ends":   {"\n a ", "a"},
		"control characters":   {"a\x1b[31mb\x00\u202ec", "a [31mb c"},
		"not UTF-8":            {"a\xffb", "a b"},
		"as long as allowed":   {strings.Repeat("é", maxLine), strings.Repeat("é", maxLine)},
		"too long":             {strings.Repeat("é", maxLine+1), strings.Repeat("é", maxLine) + "…"},
		"spaces count":         {strings.Repeat("é ", maxLine/2+1), strings.Repeat("é ", maxLine/2-1) + "é…"},
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
	page := "<html><head><STYLE>b{c:d}</style><title>502</title></head>\n<body><script>x<y</script><h1>Bad  Gateway</h1>\n</body>"
	for name, tc := range map[string]struct{ body, want string }{
		"text":                     {"oops", "oops"},
		"HTML page":                {page, "502 Bad Gateway"},
		"element with attributes":  {"a<Style x>b</STYLE >c<styles>d", "a c d"},
		"element that never ends":  {"a<script>x", "a"},
		"tag that never ends":      {"a<b", "a"},
		"long":                     {strings.Repeat("é", 5000), strings.Repeat("é", maxExcerpt) + "…"},
		"secret at the end":        {strings.Repeat("x", 190) + "hun<ter2>s3cret", strings.Repeat("x", 190) + "[REDACTED]"},
		"secret with markup":       {"got hun<ter2>s3cret", "got [REDACTED]"},
		"secret beyond the search": {"<style>" + strings.Repeat("x", 16<<10-25) + "</style>pw hun<ter2>s3cret", "pw [REDACT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, New([]string{"hun<ter2>s3cret"}).Excerpt([]byte(tc.body)))
		})
	}
}

// A hostile page must not delay the program: in quadratic time each of these would take minutes.
func TestHostilePages(t *testing.T) {
	t.Parallel()
	r := New([]string{strings.Repeat("://a@", 20) + "!", `nonce="hunter2`})
	start := time.Now()
	for _, part := range []string{"://a", "://a@", "://@ ", `\`, `://\"`, "<style>", "<"} {
		r.Excerpt([]byte(strings.Repeat(part, 1<<16)))
	}
	assert.Less(t, time.Since(start), time.Minute)
}

// FuzzRedact puts a secret into a text in each form in which a server may write it.
func FuzzRedact(f *testing.F) {
	for _, secret := range []string{
		"hunter2", `"<&>'/\ +%`, "ä😀\n\t\b\f\x00", "a@b/c:d", "REDACTED", "://:@", `\u0040`, "&amp;%40", "    ",
	} {
		f.Add(secret, "before mongodb://u:", "@host nonce=\"")
	}
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		const border = "\ue000"
		if !utf8.ValidString(secret) || utf8.RuneCountInString(secret) < shortest || len(secret) > 200 || strings.Contains(secret, border) {
			return
		}
		inJSON, err := json.Marshal(secret)
		require.NoError(t, err)
		r := New([]string{secret})
		for form, text := range map[string]string{
			"plain": secret, "HTML": html.EscapeString(secret), "query": url.QueryEscape(secret), "path": url.PathEscape(secret),
			"JSON": string(inJSON[1 : len(inJSON)-1]),
		} {
			if got := r.Redact(border + text + border); got != border+Mark+border {
				t.Fatalf("%s: %q became %q", form, text, got)
			}
			checkLine(t, r.Clean(before+text+after))
			checkLine(t, r.Excerpt([]byte(before+text+after)))
		}
	})
}

func checkLine(t *testing.T, line string) {
	t.Helper()
	if strings.ContainsAny(line, "\r\n\x00\x1b\u202e") || len([]rune(line)) > maxLine+1 {
		t.Fatalf("%q", line)
	}
}
