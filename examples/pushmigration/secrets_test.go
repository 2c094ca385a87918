//go:build unix

package main

import (
	"encoding/base64"
	"encoding/hex"
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
	}{
		"success":           {nil, nil, exitDone},
		"failed validation": {func(a *atlas) { a.FailNextValidation("no role") }, nil, exitFailed},
		"failed migration":  {func(a *atlas) { a.FailNextMigration() }, nil, exitFailed},
		"expired migration": {func(a *atlas) { a.HoldNextMigration(time.Minute) }, func(a *atlas, p *process) {
			p.waitFor("lag 1m0s")
			_ = a.ExpireMigration(a.Migrations()[0].ID)
		}, exitFailed},
		"wrong key":    {func(a *atlas) { a.env = append(a.env, "MONGODB_ATLAS_PRIVATE_API_KEY=wr0ng-private-key") }, nil, exitFailed},
		"unauthorized": {fault(livemigrationtest.AnyOperation, livemigrationtest.Status(401)), nil, exitFailed},
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
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t)
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
			secrets := append(a.secrets(), "wr0ng-private-key")
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
		})
	}
	if len(leaks("x "+url.QueryEscape("p w")+" y", []string{"p w"})) == 0 {
		t.Error("a secret in a text is not found")
	}
}

func fault(op livemigrationtest.Operation, f livemigrationtest.Fault) func(*atlas) {
	return func(a *atlas) { a.Inject(op, f, 1) }
}
