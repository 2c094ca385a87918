package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// printVariables writes what a tool needs, each variable once, under the name that Atlas's own tools read. Those of the
// source side have no such names.
func printVariables(out io.Writer, srv *livemigrationtest.Server, s settings, sites []*site) error {
	var b strings.Builder
	set := func(name, value string) { fmt.Fprintf(&b, "%s=%s\n", name, value) }

	set("MONGODB_ATLAS_BASE_URL", sites[0].url)
	if s.serviceAccount {
		id, secret := srv.ServiceAccount()
		set("MONGODB_ATLAS_CLIENT_ID", id)
		set("MONGODB_ATLAS_CLIENT_SECRET", secret.Reveal())
	} else {
		public, private := srv.APIKey()
		set("MONGODB_ATLAS_PUBLIC_API_KEY", public)
		set("MONGODB_ATLAS_PRIVATE_API_KEY", private.Reveal())
	}
	set("MONGODB_ATLAS_ORG_ID", string(srv.OrgID()))
	set("MONGODB_ATLAS_PROJECT_ID", string(srv.ProjectID()))
	if s.source.on {
		public, private := srv.SourceAPIKey()
		set("SOURCE_BASE_URL", sites[1].url)
		set("SOURCE_PUBLIC_API_KEY", public)
		set("SOURCE_PRIVATE_API_KEY", private.Reveal())
		set("SOURCE_ORG_ID", string(srv.SourceOrgID()))
	}
	_, err := io.WriteString(out, b.String())
	if err != nil {
		return fmt.Errorf("print the variables: %w", err)
	}
	return nil
}
