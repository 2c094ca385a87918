//go:build unix

package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"strings"
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

// TestNoSecretAnywhere ends the program in every way in which it can end, with all that it can be asked to write, and
// looks through all of it.
func TestNoSecretAnywhere(t *testing.T) {
	t.Parallel()
	const echo = 400
	for name, mode := range map[string]struct {
		prepare func(*atlas)
		during  func(*atlas, *process)
		status  int
		tokens  int // that are left
	}{
		"success":           {nil, nil, exitDone, 0},
		"failed validation": {func(a *atlas) { a.FailNextValidation("no role") }, nil, exitFailed, 0},
		"failed migration":  {func(a *atlas) { a.FailNextMigration() }, nil, exitFailed, 0},
		"expired migration": {func(a *atlas) { a.HoldNextMigration(time.Minute) }, func(a *atlas, p *process) {
			p.waitFor("lag 1m0s")
			_ = a.ExpireMigration(a.Migrations()[0].ID)
		}, exitFailed, 0},
		"wrong key":    {(*atlas).useWrongSecret, nil, exitFailed, 0},
		"unauthorized": {func(a *atlas) { a.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(401), 2) }, nil, exitFailed, 1}, // one that is refused without reason is left to expire
		"an answer that repeats the password": {func(a *atlas) {
			a.Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(echo).WithDetail("body: "+a.Request().Source.Password.Reveal()), 1)
		}, nil, exitFailed, 0},
		"a page that repeats the password": {func(a *atlas) {
			a.Inject(livemigrationtest.CreateValidation, livemigrationtest.RawStatus(echo, "text/html", "<p>"+url.QueryEscape(a.Request().Source.Password.Reveal())), 1)
		}, nil, exitFailed, 0},
		"gateway errors": {fault(livemigrationtest.GetMigration, livemigrationtest.RawStatus(502, "text/html", "<p>oops")), nil, exitDone, 0},
		"reset during the handshake": {func(a *atlas) {
			a.Inject(livemigrationtest.Handshake, livemigrationtest.ResetBeforeRequest(), 1)
			a.Inject(livemigrationtest.IssueToken, livemigrationtest.ResetBeforeRequest(), 1)
		}, nil, exitDone, 0},
		"answer without JSON":              {fault(livemigrationtest.CreateLinkToken, livemigrationtest.NonJSONBody()), nil, exitFailed, 0},
		"truncated link-token":             {fault(livemigrationtest.CreateLinkToken, livemigrationtest.TruncatedBody()), nil, exitFailed, 0},
		"unknown outcome of the migration": {fault(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest()), nil, exitFailed, 0},
		"unknown outcome of the cutover":   {fault(livemigrationtest.Cutover, livemigrationtest.ResetAfterRequest()), nil, exitFailed, 0},
		"redirect":                         {fault(livemigrationtest.CreateMigration, livemigrationtest.Redirect("https://example.com/")), nil, exitFailed, 0},
		"interrupt": {func(a *atlas) { a.HoldNextMigration(time.Minute) }, func(_ *atlas, p *process) {
			p.waitFor("lag 1m0s")
			p.signal(os.Interrupt)
		}, exitInterrupted, 0},
		"the stacks of all goroutines": {func(a *atlas) {
			a.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Hour), 1)
		}, func(_ *atlas, p *process) {
			p.waitFor("migration: started\n")
			p.signal(syscall.SIGQUIT)
		}, exitUsage, 0},
	} {
		for _, account := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/service account %t", name, account), func(t *testing.T) {
				t.Parallel()
				a := newAtlas(t)
				if account {
					a.useServiceAccount()
				}
				a.env = append(a.env, "GOTRACEBACK=system")
				if mode.prepare != nil {
					mode.prepare(a)
				}
				debugLog := a.path("debug.log")
				p := a.migrate(t, "-yes", "-token-file", a.path("token"), "-debug-log", debugLog)
				if mode.during != nil {
					mode.during(a, p)
				}
				status := p.end()
				if status != mode.status {
					t.Errorf("exit status %d, want %d\n%s%s", status, mode.status, p.out, p.errOut)
				}
				a.wantNoSecrets(t, p, readPrivate(t, debugLog))
				if left := a.LiveTokens(); account && status != exitUsage && left > mode.tokens {
					t.Errorf("%d access tokens are left", left)
				}
			})
		}
	}
	if len(leaks("x "+url.QueryEscape("p w")+" y", []string{"p w"})) == 0 {
		t.Error("a secret in a text is not found")
	}
}

// wantNoSecrets looks through everything that a process has written.
func (a *atlas) wantNoSecrets(t *testing.T, p *process, log string) {
	t.Helper()
	id, secret := a.ServiceAccount()
	secrets := append(a.secrets(), wrongSecret, id, secret.Reveal())
	if token, err := os.ReadFile(a.path("token")); err == nil && len(token) > 0 {
		secrets = append(secrets, strings.TrimSpace(string(token)))
	}
	for place, text := range map[string]string{"stdout": p.out.String(), "stderr": p.errOut.String(), "log": log} {
		if found := leaks(text, secrets); len(found) > 0 {
			t.Errorf("%d forms of a secret are on %s", len(found), place)
		}
	}
	if !strings.Contains(log, "msg=attempt") {
		t.Error("the log says too little to be a test")
	}
}

func fault(op livemigrationtest.Operation, f livemigrationtest.Fault) func(*atlas) {
	return func(a *atlas) { a.Inject(op, f, 1) }
}
