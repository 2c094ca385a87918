package redact

import (
	"encoding/json"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUserinfoOfURIsIsRedacted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"plain":                 {"cannot reach mongodb://user:s3cret@vm001:27017/db now", "cannot reach mongodb://[REDACTED]@vm001:27017/db now"},
		"encoded password":      {"mongodb://user:pa%2Fs%40s@vm001", "mongodb://[REDACTED]@vm001"},
		"with srv":              {"mongodb+srv://user:s3cret@vm001/?a=b", "mongodb+srv://[REDACTED]@vm001/?a=b"},
		"several hosts":         {"mongodb://user:s3cret@vm001:27017,vm002:27018/db", "mongodb://[REDACTED]@vm001:27017,vm002:27018/db"},
		"another scheme":        {"https://user:s3cret@atlas.example/a", "https://[REDACTED]@atlas.example/a"},
		"no scheme":             {"://user:s3cret@vm001", "://[REDACTED]@vm001"},
		"user alone":            {"https://t0ken@vm001", "https://[REDACTED]@vm001"},
		"password alone":        {"redis://:s3cret@vm001", "redis://[REDACTED]@vm001"},
		"address of version 6":  {"mongodb://user:s3cret@[::1]:27017", "mongodb://[REDACTED]@[::1]:27017"},
		"with an at sign":       {"mongodb://user:s3@cr@et@vm001", "mongodb://[REDACTED]@vm001"},
		"with a slash":          {"mongodb://user:s3/cr/et@vm001/db", "mongodb://[REDACTED]@vm001/db"},
		"with a colon":          {"mongodb://user:s3:cr:et@vm001", "mongodb://[REDACTED]@vm001"},
		"with all of them":      {"mongodb://user:s3@c/r:e?t#@vm001", "mongodb://[REDACTED]@vm001"},
		"digits and a slash":    {"mongodb://user:123/45@vm001", "mongodb://[REDACTED]@vm001"},
		"with a URI":            {"mongodb://user:x://y@vm001", "mongodb://[REDACTED]@vm001"},
		"with other characters": {"mongodb://user:it's,(a)&b=c;d+e$!*~ä@vm001", "mongodb://[REDACTED]@vm001"},
		"slash in the user":     {"mongodb://us/er:s3cret@vm001", "mongodb://[REDACTED]@vm001"},
		"another line":          {"mongodb://user:s3cret@vm001\nmongodb://user:s3cret@vm002", "mongodb://[REDACTED]@vm001\nmongodb://[REDACTED]@vm002"},
		"several URIs":          {"mongodb://a:s3@vm001,mongodb+srv://b:s4@vm002;https://c@vm003", "mongodb://[REDACTED]@vm001,mongodb+srv://[REDACTED]@vm002;https://[REDACTED]@vm003"},
		"one without, one with": {"mongodb://vm001:27017,mongodb://user:s3cret@vm002", "mongodb://vm001:27017,mongodb://[REDACTED]@vm002"},
		"one in a query":        {"https://vm001/?to=https://user:s3cret@vm002", "https://vm001/?to=https://[REDACTED]@vm002"},
		"in quotes":             {`{"uri":"mongodb://user:s3cret@vm001","mail":"a@b.example"}`, `{"uri":"mongodb://[REDACTED]@vm001","mail":"a@b.example"}`},
		"in a tag":              {`<a href=https://user:s3cret@vm001>a@b.example</a>`, `<a href=https://[REDACTED]@vm001>a@b.example</a>`},
		"cut off":               {"mongodb://user:s3cr", "mongodb://[REDACTED]"},
		"cut off, slash":        {"mongodb://user:s3/cr more", "mongodb://[REDACTED] more"},
		"redacted in part":      {"mongodb://user:[REDACTED]@vm001", "mongodb://[REDACTED]@vm001"},

		"JSON with escaped slashes":      {`"mongodb:\/\/user:pa\/ss@vm001\/db"`, `"mongodb:\/\/[REDACTED]@vm001\/db"`},
		"JSON in JSON":                   {`"{\"a\":\"mongodb:\\/\\/user:s3cret@vm001\"}"`, `"{\"a\":\"mongodb:\\/\\/[REDACTED]@vm001\"}"`},
		"JSON in ASCII":                  {`mongodb\u003A\u002f\u002fuser\u003as3cret\u0040vm001`, `mongodb\u003A\u002f\u002f[REDACTED]\u0040vm001`},
		"HTML":                           {`&quot;mongodb&#58;&#47;&#x2F;user&#58;s3cret&#64;vm001&quot;,&quot;a@b.example`, `&quot;mongodb&#58;&#47;&#x2F;[REDACTED]&#64;vm001&quot;,&quot;a@b.example`},
		"percent-encoded":                {"mongodb%3A%2F%2Fuser%3Apa%252Fss%40vm001%2Fdb", "mongodb%3A%2F%2F[REDACTED]%40vm001%2Fdb"},
		"percent-encoded, lower case":    {"mongodb%2bsrv%3a%2f%2fuser%3apass%40vm001", "mongodb%2bsrv%3a%2f%2f[REDACTED]%40vm001"},
		"percent-encoded twice":          {"mongodb%253A%252F%252Fuser%253Apass%2540vm001", "mongodb%253A%252F%252F[REDACTED]%2540vm001"},
		"percent-encoded, at inside":     {"mongodb%3A%2F%2Fuser%3Ap%2540ss%40vm001", "mongodb%3A%2F%2F[REDACTED]%40vm001"},
		"percent-encoded in a query":     {"/x?uri=mongodb%3A%2F%2Fuser%3Apass%40vm001&mail=a@b.example", "/x?uri=mongodb%3A%2F%2F[REDACTED]%40vm001&mail=a@b.example"},
		"percent-encoded, several":       {"mongodb%3A%2F%2Fa%3As3%40vm001%2Cmongodb%3A%2F%2Fb%3As4%40vm002", "mongodb%3A%2F%2F[REDACTED]%40vm001%2Cmongodb%3A%2F%2F[REDACTED]%40vm002"},
		"percent-encoded in a sentence":  {"at%3A%20mongodb%3A%2F%2Fuser%3Ap%2520ss%40vm001%2C%20ask%20help%40atlas.example", "at%3A%20mongodb%3A%2F%2F[REDACTED]%40vm001%2C%20ask%20help%40atlas.example"},
		"percent-encoded in a URI":       {"https://vm001/?uri=mongodb%3A%2F%2Fuser%3As3cret%40vm002", "https://vm001/?uri=mongodb%3A%2F%2F[REDACTED]%40vm002"},
		"password with a URI":            {"mongodb://user:s3cr,x://t0ken@vm001", "mongodb://[REDACTED]@vm001"},
		"password that is an @":          {"mongodb://us%40er:s%40cr,x@vm001", "mongodb://[REDACTED]@vm001"},
		"percent-encoded slashes alone":  {"mongodb:%2F%2Fuser:p&ss@vm001", "mongodb:%2F%2F[REDACTED]@vm001"},
		"percent-encoded at sign alone":  {"mongodb://user:s3cret%40vm001", "mongodb://[REDACTED]%40vm001"},
		"percent-encoded, at as it is":   {"mongodb%3A%2F%2Fuser%3As3cret@vm001", "mongodb%3A%2F%2F[REDACTED]@vm001"},
		"percent-encoded and cut off":    {"mongodb%3A%2F%2Fuser%3As3c", "mongodb%3A%2F%2F[REDACTED]"},
		"longer than a password can be":  {"mongodb://user:" + strings.Repeat("s", 2*maxURI), "mongodb://[REDACTED]" + strings.Repeat("s", maxURI+len("user:"))},
		"a URI behind one with a secret": {"mongodb://user:s3cret@vm001 https://vm002/a:b", "mongodb://[REDACTED]@vm001 https://vm002/a:b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := New(nil).Redact(tc.text)
			assert.Equal(t, tc.want, got)
			assert.Equal(t, tc.want, New(nil).Redact(got), "a second time changes nothing")
		})
	}
}

func TestTextsWithoutUserinfoStay(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"write to help@atlas.example or mailto:help@atlas.example",
		"see https://atlas.example/help, or write to help@atlas.example",
		"mongodb://vm001:27017,vm002:27018/db?replicaSet=a",
		"mongodb://[::1]:27017", "https://vm001:", "https://vm001:443.", "(https://vm001:443)",
		"https://atlas.example/@user", "https://atlas.example/a?mail=help@atlas.example", "file:///a:b@c", "a: //b@c", "10:30//a@b",
		"https%3A%2F%2Fatlas.example%2Fa%3Fmail%3Dhelp%40atlas.example", "", "://",
	} {
		assert.Equal(t, text, New(nil).Redact(text))
	}
}

// A hostile text of megabytes must not hold up the program. Its size is such that quadratic time would show.
func TestManyURIs(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"://a", "://a,", "x%3A%2F%2F:", ",a://b:c", "&a://b", "://1:@,a"} {
		got := New(nil).Redact(strings.Repeat(uri, 1<<16) + " mongodb://user:s3cret@vm001 and this")
		assert.True(t, strings.HasSuffix(got, " mongodb://[REDACTED] and this"), uri)
	}
	got := New(nil).Redact(strings.Repeat("mongodb://user:s3cret@vm001 ", maxURIs))
	assert.Equal(t, strings.Repeat("mongodb://[REDACTED]@vm001 ", maxURIs), got)
}

// FuzzUserinfo puts any password into a URI and the URI into a text, in the forms in which a server may write it. The
// password is gone and the host stays.
func FuzzUserinfo(f *testing.F) {
	for _, middle := range []string{"", "@", "/", ":", "%40", "a@b/c:d", "://", ",x://", "?a=b&c#d", `\`, `\/`, "%", "ä", "'", "&amp;", "+", "[]", "123/45", `\u0040`, "=mongodb://u:p@h/"} {
		f.Add("user", middle)
		f.Add("us@er", middle)
		f.Add("", middle)
	}
	f.Fuzz(func(t *testing.T, user, middle string) {
		if len(user)+len(middle) > 100 || uriEnd.MatchString(user+middle) || strings.ContainsAny(user, "/?#,;=&|([{'%\\") || strings.Contains(user, "://") {
			return // no URI
		}
		uri := "mongodb+srv://" + user + ":s3cr" + middle + "t0ken@vm001"
		inJSON, err := json.Marshal(uri)
		if err != nil {
			t.Fatal(err)
		}
		for form, text := range map[string]string{
			"plain": uri, "JSON": string(inJSON), "escaped slashes": strings.ReplaceAll(string(inJSON), "/", `\/`),
			"HTML": html.EscapeString(uri), "query": url.QueryEscape(uri), "path": url.PathEscape(uri),
			"query in a query": url.QueryEscape(url.QueryEscape(uri)), "encoded password": "mongodb://" + url.UserPassword(user, "s3cr"+middle+"t0ken").String() + "@vm001",
		} {
			got := New(nil).Redact("cannot reach " + text + " (write to help@atlas.example)")
			if strings.Contains(got, "s3cr") || strings.Contains(got, "t0ken") {
				t.Fatalf("%s: the password shows in %q, from %q", form, got, text)
			}
			if !strings.Contains(got, "vm001") || !strings.Contains(got, "help@atlas.example") {
				t.Fatalf("%s: %q, from %q", form, got, text)
			}
		}
	})
}

// FuzzRedact never panics, and keeps the text around what it replaces.
func FuzzRedact(f *testing.F) {
	for _, text := range []string{"a", "mongodb://u:p@h", `nonce="x"`, "%3A%2F%2F%40", "&#58;//@", `\u003a//:@`, "://:@", "://@://:@"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := New(nil).Redact("before " + text + " after")
		if !strings.HasPrefix(got, "before ") {
			t.Fatalf("%q", got)
		}
		if strings.Count(got, Mark) == 0 && got != "before "+text+" after" {
			t.Fatalf("changed %q into %q", text, got)
		}
	})
}
