package main

import "io"

func printUsage(out io.Writer) error {
	if _, err := io.WriteString(out, usage); err != nil {
		return &outputError{withoutPath(err)}
	}
	return nil
}

const usage = `pushmigration carries a push live migration through, from Cloud
Manager or Ops Manager to Atlas.

With nothing configured, that is without any MONGODB_ATLAS_ variable and without
-base-url, -org, -project, -request, -resume and -delete-link-token, it shows a
whole migration on an Atlas in memory, which takes about 15 seconds.

Usage:
  pushmigration -yes
        demonstration
  pushmigration -request FILE -org ID -project ID [-token-file FILE]
        a migration
  pushmigration -request FILE -org ID -project ID -validate-only
        only check whether it would work
  pushmigration -resume MIGRATION -project ID
                [-delete-link-token -org ID [-token-file FILE]]
        go on with a migration
  pushmigration -delete-link-token -org ID [-token-file FILE]
        only delete the link-token

The credentials, which need the role Organization Owner, are a service account,
in MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET, or an API key, in
MONGODB_ATLAS_PUBLIC_API_KEY and MONGODB_ATLAS_PRIVATE_API_KEY. Of both, the
service account is used. Its access token is revoked at the end of a run that
succeeds, and otherwise expires by itself.

Where:
  -base-url URL       Atlas, as scheme and host
                      (default $MONGODB_ATLAS_BASE_URL, or the public Atlas)
  -api-version V      v2, or v1.0 (also v1) for the legacy API (default v2)
  -org ID             the organization (default $MONGODB_ATLAS_ORG_ID)
  -project ID         the destination project
                      (default $MONGODB_ATLAS_PROJECT_ID)

What:
  -request FILE       the migration as JSON, in the form of the body of API v2.
                      Unknown fields are refused. The password of the source may
                      come from $SOURCE_PASSWORD, which wins over the file; with
                      managedAuthentication it is not used
  -validate-only      end after the validation
  -resume ID          go on with a migration that was started: wait until it is
                      ready, cut over, wait until it is complete. Creates
                      nothing, and leaves the link-token alone unless
                      -delete-link-token is given

The link-token, which connects the source organization:
  -token-file FILE    create a link-token, write it to FILE (mode 0600; it must
                      not exist), and wait until you have pasted it into Cloud
                      Manager or Ops Manager. When the migration is complete,
                      the link-token and FILE are deleted. Without -token-file
                      the organization has to be connected already, and stays
                      so. With -delete-link-token none is created: FILE is that
                      of the link-token that exists, and is removed with it
  -access-list LIST   addresses and CIDR blocks, separated by commas, that may
                      use the link-token; API v1.0 requires it
  -delete-link-token  delete the organization's link-token when the migration is
                      complete, as a run that created it does; with neither
                      -request nor -resume, delete it and do nothing else.
                      Deleting it stops the synchronization of every migration
                      of the organization that still runs

How:
  -yes                do not ask before destination data are dropped, before
                      the cutover, and before -delete-link-token alone deletes;
                      required without a terminal
  -timeout D          give up after D, such as 48h; the migration goes on in
                      Atlas (default: no limit)
  -poll D             look at a job every D (default: 2s growing to 15s for a
                      validation, 5s growing to 1m for a migration)
  -debug-log FILE     append what the client does to FILE (mode 0600); no secret
                      is in it

Ctrl-C, SIGTERM, or the end of the terminal (SIGHUP, except under nohup) ends
the program and not the migration: the command that goes on with it is printed.
A request that changes something gets 10 more seconds for its answer, unless a
second Ctrl-C ends the program at once. When stdout cannot be written, the run
ends in the same way, with exit status 1 and the command on stderr.

Exit status: 0 done, 1 failed or not confirmed, 2 wrong usage, 130 interrupted.

Examples:
  export MONGODB_ATLAS_CLIENT_ID=... MONGODB_ATLAS_CLIENT_SECRET=...
  export MONGODB_ATLAS_ORG_ID=5f1a2b3c4d5e6f7081920a00
  export MONGODB_ATLAS_PROJECT_ID=5f1a2b3c4d5e6f7081920a11 SOURCE_PASSWORD=...
  pushmigration -request migration.json -validate-only
  pushmigration -request migration.json -token-file link-token.txt
  pushmigration -resume 6560f2a49c1b7e03d5000002

A migration.json:
  {
    "source": {
      "groupId": "5c7e8f901a2b3c4d5e6f7a01", "clusterName": "orders",
      "username": "migration", "managedAuthentication": false,
      "ssl": true, "caCertificatePath": "/etc/mongodb/ca.pem"
    },
    "destination": {"clusterName": "Cluster0", "hostnameSchemaType": "PUBLIC"},
    "migrationHosts": ["migration-host-1.prod.example.com"],
    "dropDestinationData": false
  }
`
