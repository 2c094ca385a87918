//go:build unix

package main

import (
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// forms are the ways in which a secret may stand in an output, a log or a memory dump of strings.
func forms(secret string) []string {
	raw := []byte(secret)
	return []string{
		secret, hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)),
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), url.QueryEscape(secret), url.PathEscape(secret),
	}
}

// leaks returns what of the secrets, and of the header that proves the knowledge of one, stands in a text.
func leaks(text string, secrets []string) (found []string) {
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			if strings.Contains(text, form) {
				found = append(found, form)
			}
		}
	}
	for _, part := range []string{"Digest username", "response=", "nonce=", "Bearer ", "Basic "} {
		if strings.Contains(text, part) {
			found = append(found, part)
		}
	}
	return found
}

// wrongSecret is one that Atlas does not know. It must not show either.
const wrongSecret = "wr0ng-private-key"

// echo is the status of an answer that repeats what it should not.
const echo = 400

// ending is a way in which the program can end.
type ending struct {
	prepare func(*atlas)
	during  func(*atlas, *process)
	status  int
}

// endings are those that both kinds of credentials have in common.
func endings() map[string]ending {
	return map[string]ending{
		"success":           {nil, nil, exitDone},
		"failed validation": {func(a *atlas) { a.FailNextValidation("no role") }, nil, exitFailed},
		"failed migration":  {func(a *atlas) { a.FailNextMigration() }, nil, exitFailed},
		"expired migration": {func(a *atlas) { a.HoldNextMigration(time.Minute) }, func(a *atlas, p *process) {
			p.waitFor("lag 1m0s")
			_ = a.ExpireMigration(a.Migrations()[0].ID)
		}, exitFailed},
		"wrong secret": {func(a *atlas) { a.env = append(a.env, a.secretVariable+"="+wrongSecret) }, nil, exitFailed},
		"unauthorized": {func(a *atlas) {
			a.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(401), 2) // one of them costs a token and no more
		}, nil, exitFailed},
		"an answer that repeats the password": {func(a *atlas) {
			a.Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(echo).WithDetail("body: "+a.Request().Source.Password.Reveal()), 1)
		}, nil, exitFailed},
		"a page that repeats the password": {func(a *atlas) {
			a.Inject(livemigrationtest.CreateValidation, livemigrationtest.RawStatus(echo, "text/html", "<p>"+url.QueryEscape(a.Request().Source.Password.Reveal())), 1)
		}, nil, exitFailed},
		"gateway errors":                   {fault(livemigrationtest.GetMigration, livemigrationtest.RawStatus(502, "text/html", "<p>oops")), nil, exitDone},
		"reset during the handshake":       {fault(livemigrationtest.Handshake, livemigrationtest.ResetBeforeRequest()), nil, exitDone},
		"answer without JSON":              {fault(livemigrationtest.CreateLinkToken, livemigrationtest.NonJSONBody()), nil, exitFailed},
		"truncated link-token":             {fault(livemigrationtest.CreateLinkToken, livemigrationtest.TruncatedBody()), nil, exitFailed},
		"unknown outcome of the migration": {fault(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest()), nil, exitFailed},
		"unknown outcome of the cutover":   {fault(livemigrationtest.Cutover, livemigrationtest.ResetAfterRequest()), nil, exitFailed},
		"redirect":                         {fault(livemigrationtest.CreateMigration, livemigrationtest.Redirect("https://example.com/")), nil, exitFailed},
		"interrupt": {func(a *atlas) { a.HoldNextMigration(time.Minute) }, func(_ *atlas, p *process) {
			p.waitFor("lag 1m0s")
			p.signal(os.Interrupt)
		}, exitInterrupted},
		"the stacks of all goroutines": {func(a *atlas) {
			a.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Hour), 1)
		}, func(_ *atlas, p *process) {
			p.waitFor("migration: started\n")
			p.signal(syscall.SIGQUIT)
		}, exitUsage},
	}
}

// tokenEndings are those on account of access tokens.
func tokenEndings() map[string]ending {
	issue, revoke := livemigrationtest.IssueToken, livemigrationtest.RevokeToken
	return map[string]ending{
		"a refusal that repeats the secret": {func(a *atlas) {
			_, secret := a.ServiceAccount()
			a.Inject(issue, livemigrationtest.Status(echo).WithDetail("secret: "+secret.Reveal()), 1)
		}, nil, exitFailed},
		"gateway errors instead of tokens": {fault(issue, livemigrationtest.RawStatus(502, "text/html", "<p>oops")), nil, exitDone},
		"a token without JSON":             {fault(issue, livemigrationtest.NonJSONBody()), nil, exitDone},
		"a truncated token":                {fault(issue, livemigrationtest.TruncatedBody()), nil, exitDone},
		"a token that dies": {func(a *atlas) { a.HoldNextMigration(time.Minute) }, func(a *atlas, p *process) {
			p.waitFor("lag 1m0s")
			a.ExpireTokens()
			_ = a.ReleaseMigration(a.Migrations()[0].ID)
		}, exitDone},
		"a token that is not revoked": {fault(revoke, livemigrationtest.Status(503)), nil, exitDone},
		"a reset at its revocation":   {fault(revoke, livemigrationtest.ResetAfterRequest()), nil, exitDone},
	}
}

// TestNoSecretAnywhere ends the program in every way in which it can end, with all that it can be asked to write, and
// looks through all of it.
func TestNoSecretAnywhere(t *testing.T) {
	t.Parallel()
	ofAccount := endings()
	maps.Copy(ofAccount, tokenEndings())
	for kind, test := range map[string]struct {
		newAtlas func(*testing.T) *atlas
		endings  map[string]ending
	}{
		"API key":         {func(t *testing.T) *atlas { return newAtlas(t) }, endings()},
		"service account": {newAccountAtlas, ofAccount},
	} {
		for name, e := range test.endings {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				e.check(t, test.newAtlas(t))
			})
		}
	}
	if len(leaks("x "+url.QueryEscape("p w")+" y", []string{"p w"})) == 0 {
		t.Error("a secret in a text is not found")
	}
}

// check ends the program in this way.
func (e ending) check(t *testing.T, a *atlas) {
	t.Helper()
	tokens := a.watchTokens(t)
	a.env = append(a.env, "GOTRACEBACK=system")
	if e.prepare != nil {
		e.prepare(a)
	}
	debugLog := a.path("debug.log")
	p := a.migrate(t, "-yes", "-token-file", a.path("token"), "-debug-log", debugLog)
	if e.during != nil {
		e.during(a, p)
	}
	if status := p.end(); status != e.status {
		t.Errorf("exit status %d, want %d\n%s%s", status, e.status, p.out, p.errOut)
	}
	used := tokens()
	if len(used) == 0 && e.status == exitDone && a.secretVariable == clientSecretVariable {
		t.Error("no access token was seen")
	}
	secrets := append(append(a.secrets(), wrongSecret), used...)
	if token, err := os.ReadFile(a.path("token")); err == nil && len(token) > 0 {
		secrets = append(secrets, strings.TrimSpace(string(token)))
	}
	log := readPrivate(t, debugLog)
	for place, text := range map[string]string{"stdout": p.out.String(), "stderr": p.errOut.String(), "log": log} {
		if found := leaks(text, secrets); len(found) > 0 {
			t.Errorf("%d forms of a secret are on %s", len(found), place)
		}
	}
	if !strings.Contains(log, "msg=attempt") {
		t.Error("the log says too little to be a test")
	}
}

// watchTokens lets the program go through a server that sees what it sends, and returns the access tokens of that.
func (a *atlas) watchTokens(t *testing.T) (tokens func() []string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	handler := a.Handler()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			mu.Lock()
			seen = append(seen, token)
			mu.Unlock()
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	a.env = append(a.env, baseURLVariable+"="+front.URL)
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(seen)
		return slices.Compact(seen)
	}
}

func fault(op livemigrationtest.Operation, f livemigrationtest.Fault) func(*atlas) {
	return func(a *atlas) { a.Inject(op, f, 1) }
}
