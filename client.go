package livemigration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go/internal/auth/bearer"
	"github.com/livemigration/livemigration-go/internal/delivery"
	"github.com/livemigration/livemigration-go/internal/pacing"
	"github.com/livemigration/livemigration-go/internal/response"
)

const version = "0.1.0"

// Client calls the push live migration endpoints of Atlas. It is safe for concurrent use: create one and share it.
type Client struct {
	LinkTokens        *LinkTokensService
	AvailableProjects *AvailableProjectsService
	Validations       *ValidationsService
	Migrations        *MigrationsService

	core *core
}

// NewClient returns a client. It does no I/O. The error is [ErrInvalidConfig] and names everything that can never work.
func NewClient(credentials Credentials, opts ...Option) (*Client, error) {
	return newClient(newConfig("NewClient", opts), credentials)
}

func newClient(cfg *config, credentials Credentials) (*Client, error) {
	c, err := newCore(cfg, credentials, cfg.version)
	if err != nil {
		return nil, err
	}
	return &Client{
		LinkTokens: (*LinkTokensService)(c), AvailableProjects: (*AvailableProjectsService)(c),
		Validations: (*ValidationsService)(c), Migrations: (*MigrationsService)(c), core: c,
	}, nil
}

// Format writes the URL to which the requests go, for every verb.
func (c *Client) Format(f fmt.State, _ rune) { c.core.format(f, "Client") }

// CloseIdleConnections closes connections that no call uses, for programs that create many clients. If you share the
// transport, it also closes idle connections of its other users.
func (c *Client) CloseIdleConnections() { c.core.closeIdle() }

// RevokeToken revokes the access token of a [ServiceAccount] (POST /api/oauth/revoke). With other credentials it does
// nothing. Call it when no call is in progress. The client remains usable: the next call fetches a new token. The error
// is an [*APIError] or a [*CallError].
func (c *Client) RevokeToken(ctx context.Context) error { return c.core.revokeToken(ctx) }

// core is what both clients consist of: it makes their calls.
type core struct {
	version       APIVersion
	origin        string // scheme, host and port
	host          string
	userAgent     string
	timeout       time.Duration // of an attempt
	policy        RetryPolicy
	transport     http.RoundTripper // wrappers, credentials, delivery
	delivery      *delivery.Transport
	authenticator authenticator // nil with credentials of another package
	jar           http.CookieJar
	pacer         *pacing.Pacer
	logger        *slog.Logger
	defaults      []WaitOption
	deprecated    sync.Map // the endpoints whose deprecation has been logged
}

// authenticator is the transport of the credentials of this package.
type authenticator interface {
	// Secrets are what no message may show.
	Secrets() []string
}

// newCore builds the chain that a request goes through, from the outside to the connection:
//
//  1. A call makes attempts with go-retryablehttp (call.go). Each waits for its turn within the rate limit, is bounded
//     in time, and reads its response whole (attempt.go).
//  2. The wrappers of WithTransportWrapper. They are outside the credentials, so that they see none.
//  3. The transport of the credentials.
//  4. The delivery transport. It is inside the credentials, because only a request with credentials can take effect.
//  5. The user's transport, or a copy of the default one.
func newCore(cfg *config, credentials Credentials, version APIVersion) (*core, error) {
	origin := cfg.origin()
	delivered := cfg.delivery()
	authenticated := cfg.authenticate(credentials, origin, delivered)
	wrapped := cfg.wrap(authenticated)
	if err := cfg.err(); err != nil {
		return nil, err
	}
	own, _ := authenticated.(authenticator)
	if account, ok := own.(*bearer.Account); ok {
		account.Bound(cfg.attemptTimeout())
	}
	return &core{
		version: version, origin: origin.String(), host: origin.Host, userAgent: userAgent(cfg.userAgent), timeout: cfg.attemptTimeout(),
		policy: cfg.retry.withDefaults(), transport: wrapped, delivery: delivered, authenticator: own, jar: cfg.httpClient.Jar,
		pacer: cfg.pacer(), logger: cmp.Or(cfg.logger, slog.New(slog.DiscardHandler)), defaults: cfg.waitDefaults,
	}, nil
}

// made rejects the zero value of a client or a service.
func (c *core) made() []FieldViolation {
	if c == nil || c.transport == nil {
		return []FieldViolation{{"client", "must be made by NewClient, NewClientFromEnv or NewSourceClient"}}
	}
	return nil
}

func (c *core) closeIdle() {
	if c.made() == nil {
		c.delivery.CloseIdleConnections()
	}
}

func (c *core) waitDefaults() []WaitOption {
	if c == nil {
		return nil
	}
	return c.defaults
}

func (c *core) format(f fmt.State, name string) {
	target := ""
	if c.made() == nil {
		target = c.origin + c.version.prefix()
	}
	_, _ = io.WriteString(f, "livemigration."+name+"("+target+")")
}

func userAgent(product string) string {
	own := fmt.Sprintf("livemigration-go/%s (%s; %s)", version, runtime.Version(), runtime.GOOS)
	return strings.TrimSpace(product + " " + own)
}

// revokeToken is the method of both clients.
func (c *core) revokeToken(ctx context.Context) error {
	if err := invalidRequest(append(c.made(), checkContext(ctx)...)); err != nil {
		return err
	}
	account, ok := c.authenticator.(*bearer.Account)
	if !ok {
		return nil
	}
	e := &endpoint{operation: "RevokeToken", method: http.MethodPost}
	k := &call{core: c, endpoint: e, settings: new(callSettings), ctx: ctx, path: bearer.RevokePath, began: time.Now(), attempts: 1}
	bounded, end := context.WithTimeoutCause(ctx, c.timeout, errAttemptTime)
	defer end()
	err := account.Revoke(bounded, c.userAgent)
	var failed *bearer.EndpointError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		api, _, _, _ := k.apiError(&response.Received{Status: failed.Status, Header: failed.Header, Body: failed.Body})
		return api
	default:
		return k.callError(k.nameServer(k.nameEnd(bounded, err)))
	}
}
