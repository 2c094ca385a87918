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
)

const release = "0.1.0"

// Client calls Atlas. It is safe for concurrent use: create one and share it.
type Client struct {
	LinkTokens        *LinkTokensService
	AvailableProjects *AvailableProjectsService
	Validations       *ValidationsService
	Migrations        *MigrationsService

	core *core
}

// NewClient creates a client, without I/O. The error is [ErrInvalidConfig] and names everything that can never work.
func NewClient(credentials Credentials, opts ...Option) (*Client, error) {
	return newClient(newConfig("NewClient", opts), credentials)
}

func newClient(cfg *config, credentials Credentials) (*Client, error) {
	c, err := newCore(cfg, credentials, "/api/atlas/"+cfg.version.String())
	if err != nil {
		return nil, err
	}
	return &Client{
		LinkTokens: (*LinkTokensService)(c), AvailableProjects: (*AvailableProjectsService)(c),
		Validations: (*ValidationsService)(c), Migrations: (*MigrationsService)(c), core: c,
	}, nil
}

// Format prints the base URL, for every verb.
func (c *Client) Format(f fmt.State, _ rune) { c.core.format(f, "Client") }

// CloseIdleConnections also closes idle connections of other users of a shared transport.
func (c *Client) CloseIdleConnections() { c.core.closeIdle() }

// RevokeToken revokes the access token of a [ServiceAccount] (POST /api/oauth/revoke), and does nothing with other
// credentials. Call it when no call is in progress. The next call fetches a new token.
func (c *Client) RevokeToken(ctx context.Context) error { return c.core.revokeToken(ctx) }

// core makes the calls of both clients.
type core struct {
	version       APIVersion
	base          string // of all URLs: origin and prefix
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

// authenticator is the transport of this package's credentials. No message may show its secrets.
type authenticator interface{ Secrets() []string }

// newCore builds the chain that each attempt (attempt.go) of a call (call.go) goes through:
//
//  1. The wrappers of WithTransportWrapper. They are outside the credentials, so that they see none.
//  2. The transport of the credentials.
//  3. The delivery transport. It is inside the credentials, because only a request with credentials can take effect.
//  4. The user's transport, or a copy of the default one.
func newCore(cfg *config, credentials Credentials, prefix string) (*core, error) {
	origin := cfg.origin()
	delivered := cfg.delivery()
	authenticated := cfg.authenticate(credentials, origin, delivered)
	wrapped := cfg.wrap(authenticated)
	if len(cfg.problems) > 0 {
		return nil, &configError{cfg.maker, cfg.problems}
	}
	own, _ := authenticated.(authenticator)
	product := fmt.Sprintf("%s livemigration-go/%s (%s; %s)", cfg.userAgent, release, runtime.Version(), runtime.GOOS)
	if account, ok := own.(*bearer.Account); ok {
		account.Bound(cfg.timeout)
	}
	return &core{
		version: cfg.version, base: origin.String() + prefix, host: origin.Host, userAgent: strings.TrimSpace(product),
		timeout: cfg.timeout, policy: cfg.retry, transport: wrapped, delivery: delivered, authenticator: own,
		jar: cfg.httpClient.Jar, pacer: pacing.New(cfg.pacing), logger: cmp.Or(cfg.logger, slog.New(slog.DiscardHandler)),
		defaults: cfg.waitDefaults,
	}, nil
}

func (c *core) closeIdle() {
	if c != nil {
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
	base := ""
	if c != nil {
		base = c.base
	}
	_, _ = io.WriteString(f, "livemigration."+name+"("+base+")")
}

func (c *core) revokeToken(ctx context.Context) error {
	e := &endpoint{operation: "RevokeToken", method: http.MethodPost, path: bearer.RevokePath}
	if _, found := c.check(ctx, e, nil); len(found) > 0 {
		return &InvalidRequestError{Violations: found}
	}
	account, ok := c.authenticator.(*bearer.Account)
	if !ok {
		return nil
	}
	k := &call{core: c, endpoint: e, settings: new(callSettings), ctx: ctx, path: e.path, began: time.Now(), attempts: 1}
	bounded, end := context.WithTimeoutCause(ctx, c.timeout, errAttemptTime)
	defer end()
	err := account.Revoke(bounded, c.userAgent)
	var failed *bearer.EndpointError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		api, _, _, _ := k.apiError(failed.Response)
		return api
	default:
		return k.callError(k.nameServer(k.nameEnd(bounded, err)))
	}
}
