// Package scope holds what the Go code in documents uses without declaring it. The checker of documents compiles each piece
// of code together with this file.
//
//lint:file-ignore U1000 it is used by documents
package scope

import (
	_ "cmp"
	"context"
	_ "crypto/tls"
	"crypto/x509"
	"database/sql"
	_ "encoding/json"
	_ "errors"
	_ "fmt"
	_ "log"
	"log/slog"
	"net/http"
	_ "net/url"
	_ "os"
	_ "os/signal"
	_ "syscall"
	"testing"
	_ "testing/synctest"
	_ "time"

	_ "github.com/mongodb-forks/digest"
	"go.mongodb.org/atlas/mongodbatlas"
	_ "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	_ "go.opentelemetry.io/otel/propagation"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	_ "github.com/livemigration/livemigration-go/durable/storetest"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

var (
	ctx          context.Context
	client       *livemigration.Client
	source       *livemigration.SourceClient
	credentials  livemigration.Credentials
	orgID        livemigration.OrgID
	sourceOrgID  livemigration.OrgID
	projectID    livemigration.ProjectID
	validationID livemigration.ValidationID
	migrationID  livemigration.MigrationID
	request      livemigration.MigrationRequest
	logger       *slog.Logger
	plans        []durable.Plan
	fleet        *durable.Fleet
	db           *sql.DB
	pool         *x509.CertPool
	srv          *livemigrationtest.Server
	t            *testing.T
	err          error

	publicKey, privateKey, password string
)

// What the tasks of docs/from-the-official-clients.md hand on to each other.
var (
	authenticated *http.Client
	atlas         *mongodbatlas.Client
	legacyRequest *mongodbatlas.LiveMigration
	token         *livemigration.LinkToken
	migration     *mongodbatlas.LiveMigration
)

// readPassword stands for a vault.
func readPassword(context.Context, string) (livemigration.Secret, error) { return "", nil }

// openMyStore stands for a reader's own store.
func openMyStore(*testing.T) durable.Store { return durable.NewMemory() }
