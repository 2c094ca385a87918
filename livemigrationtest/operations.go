package livemigrationtest

// Operation is an endpoint, by the name of its method in the client, or a kind of requests for [Server.Inject].
type Operation string

// The endpoints.
const (
	CreateLinkToken       Operation = "LinkTokens.Create"
	DeleteLinkToken       Operation = "LinkTokens.Delete"
	ListAvailableProjects Operation = "AvailableProjects.List"
	CreateValidation      Operation = "Validations.Create"
	GetValidation         Operation = "Validations.Get"
	CreateMigration       Operation = "Migrations.Create"
	GetMigration          Operation = "Migrations.Get"
	Cutover               Operation = "Migrations.Cutover"
)

// The endpoints of the source side, at [Server.SourceURL].
const (
	CreateMigrationLink    Operation = "MigrationLink.Create"
	GetMigrationLinkStatus Operation = "MigrationLink.Status"
	DeleteMigrationLink    Operation = "MigrationLink.Delete"
)

// The endpoints of OAuth 2.0, at which service accounts get their access tokens, on both sides.
const (
	IssueToken  Operation = "ServiceAccounts.IssueToken"
	RevokeToken Operation = "ServiceAccounts.RevokeToken"
)

const (
	// AnyOperation is every authenticated request, even one that names no endpoint. Requests to the endpoints of OAuth
	// do not count.
	AnyOperation Operation = "any operation"
	// Handshake is the requests without credentials, with which a client gets a challenge.
	Handshake Operation = "handshake"
)
