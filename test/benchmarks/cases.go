package benchmarks

import (
	"context"
	"time"
)

// benchmark is one kind of work, done by every peer that can.
type benchmark struct {
	name, title string
	servers     []string
	siteOptions siteOptions
	callers     int // at once; 0 is 1
	// work returns nil for a client that cannot do it.
	work func(*site, *client) call
	// cold makes a new client for each call.
	cold bool
}

var (
	overNetwork = []string{serverAtlas, serverMinimal}
	everywhere  = []string{serverAtlas, serverMinimal, serverProcess}
)

const latency = 20 * time.Millisecond

func readWork(_ *site, c *client) call { return c.read }

var benchmarks = []benchmark{
	{name: "Read", title: "read one migration", servers: everywhere, work: readWork},
	{name: "Create", title: "create one migration", servers: everywhere,
		work: func(_ *site, c *client) call { return c.create }},
	{name: "CreateSharded", title: "create with 500 sharding entries", servers: []string{serverAtlas},
		work: func(_ *site, c *client) call { return c.createSharded }},
	{name: "List", title: "list 200 projects × 50 deployments", servers: overNetwork,
		work:        func(_ *site, c *client) call { return c.list },
		siteOptions: siteOptions{projects: true}},
	{name: "ColdStart", title: "new client, first call, TLS", servers: overNetwork, work: readWork,
		siteOptions: siteOptions{tls: true}, cold: true},
	{name: "Parallel", title: "read, 64 callers at once", servers: overNetwork, work: readWork, callers: parallelCallers},
	{name: "Latency", title: "read, 20 ms server latency", servers: overNetwork, work: readWork,
		siteOptions: siteOptions{latency: latency}},
	{name: "Rejected", title: "read, rejected (429) and retried at once", servers: overNetwork,
		work: func(s *site, c *client) call {
			return func(ctx context.Context) error {
				s.rejectNext()
				return c.read(ctx)
			}
		}},
}

// lane is one peer doing the work of one benchmark on one server.
type lane struct {
	site      *site
	transport transport
	client    *client
	work      call
	callers   int
}

// open returns nil for a peer that cannot do the work.
func (b *benchmark) open(s *site, p peer) (*lane, error) {
	l := &lane{site: s, transport: s.transport(), callers: max(1, b.callers)}
	var err error
	if l.client, err = p.connect(s, l.transport); err != nil {
		return nil, err
	}
	if l.work = b.work(s, l.client); l.work == nil {
		return nil, nil
	}
	if b.cold {
		l.work = func(ctx context.Context) error {
			t := s.transport()
			defer t.CloseIdleConnections()
			c, err := p.connect(s, t)
			if err != nil {
				return err
			}
			return b.work(s, c)(ctx)
		}
	}
	return l, nil
}

func (l *lane) close() { l.transport.CloseIdleConnections() }
