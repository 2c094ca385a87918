// Package temporalserver runs a Temporal server in this process, for tests and demonstrations. It listens on loopback only.
package temporalserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/testing/freeport"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

const (
	loopback    = "127.0.0.1"
	clusterName = "active"
)

// Options are those of a server.
type Options struct {
	// Namespaces exist from the beginning.
	Namespaces []string
	// File is an SQLite database that outlives the server. Empty: in memory.
	File string
	// ContinueAsNewAfter is after how many events Temporal suggests to continue a workflow as new. 0: Temporal's default.
	ContinueAsNewAfter int
}

// Server is a Temporal server.
type Server struct {
	options Options
	port    int
	running temporal.Server
}

// Start starts a server.
func Start(options Options) (*Server, error) {
	s := &Server{options: options, port: freeport.MustGetFreePort()}
	return s, s.Restart()
}

// Address is where clients find the server. It stays the same when the server restarts.
func (s *Server) Address() string { return fmt.Sprintf("%s:%d", loopback, s.port) }

// Stop stops the server. What is in its file stays.
func (s *Server) Stop() error { return s.running.Stop() }

// Restart starts a server that was stopped.
func (s *Server) Restart() error {
	cfg := s.config()
	store := cfg.Persistence.DataStores[sqliteplugin.PluginName].SQL
	if err := s.prepare(store); err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	settings := dynamicconfig.StaticClient{
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): []dynamicconfig.ConstrainedValue{{Value: true}},
	}
	if n := s.options.ContinueAsNewAfter; n > 0 {
		settings[dynamicconfig.HistoryCountSuggestContinueAsNew.Key()] = []dynamicconfig.ConstrainedValue{{Value: n}}
	}
	running, err := temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices([]string{"frontend", "history", "matching"}),
		temporal.WithLogger(log.NewNoopLogger()),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return authorization.NewNoopClaimMapper() }),
		temporal.WithDynamicConfigClient(settings),
	)
	if err != nil {
		return fmt.Errorf("make the server: %w", err)
	}
	if err := running.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	s.running = running
	return nil
}

// prepare makes what must exist before the server starts.
func (s *Server) prepare(store *config.SQL) error {
	if s.options.File != "" {
		if _, err := os.Stat(s.options.File); errors.Is(err, fs.ErrNotExist) {
			if err := sqlite.SetupSchema(store); err != nil {
				return err
			}
		}
	}
	namespaces := make([]*sqlite.NamespaceConfig, len(s.options.Namespaces))
	for i, name := range s.options.Namespaces {
		namespace, err := sqlite.NewNamespaceConfig(clusterName, name, false, nil)
		if err != nil {
			return err
		}
		namespaces[i] = namespace
	}
	return sqlite.CreateNamespaces(store, namespaces...)
}

// workflowsReady fails until the part of the server that has the workflows is up too, which takes longer than its entrance.
func workflowsReady(ctx context.Context, c client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := c.DescribeWorkflowExecution(ctx, "there is no such workflow", "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil
	}
	return err
}

// Dial connects a client, and waits until the server is ready for it.
func (s *Server) Dial(ctx context.Context, options client.Options) (client.Client, error) {
	options.HostPort = s.Address()
	for {
		c, err := client.DialContext(ctx, options)
		if err == nil {
			if err = workflowsReady(ctx, c); err == nil {
				return c, nil
			}
			c.Close()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to the server: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *Server) config() *config.Config {
	store := &config.SQL{
		PluginName: sqliteplugin.PluginName, DatabaseName: s.options.File, ConnectAttributes: map[string]string{"mode": "rwc"},
	}
	if s.options.File == "" {
		store.DatabaseName = fmt.Sprintf("memory-%d", s.port)
		store.ConnectAttributes = map[string]string{"mode": "memory", "cache": "shared"}
	}
	return &config.Config{
		Global: config.Global{Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: loopback}},
		Persistence: config.Persistence{
			DefaultStore: sqliteplugin.PluginName, VisibilityStore: sqliteplugin.PluginName, NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{sqliteplugin.PluginName: {SQL: store}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: clusterName, CurrentClusterName: clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: s.Address()},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			"frontend": service(s.port), "history": service(freeport.MustGetFreePort()),
			"matching": service(freeport.MustGetFreePort()), "worker": service(freeport.MustGetFreePort()),
		},
		Archival: config.Archival{
			History: config.HistoryArchival{State: "disabled"}, Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		PublicClient: config.PublicClient{HostPort: s.Address()},
	}
}

func service(port int) config.Service {
	return config.Service{RPC: config.RPC{GRPCPort: port, MembershipPort: freeport.MustGetFreePort(), BindOnLocalHost: true}}
}
