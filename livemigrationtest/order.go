package livemigrationtest

import (
	"encoding/json"

	"github.com/livemigration/livemigration-go"
)

// order is what the server needs of the body that starts a job.
type order struct {
	direction
	hosts []string
}

type wireCluster struct {
	ProjectID   livemigration.ProjectID `json:"groupId"`
	ClusterName string                  `json:"clusterName"`
}

// readOrder reads what can be read of a body: all of it, once it has been checked.
func readOrder(body []byte) order {
	var wire struct {
		Source         wireCluster `json:"source"`
		Destination    wireCluster `json:"destination"`
		MigrationHosts []string    `json:"migrationHosts"`
	}
	_ = json.Unmarshal(body, &wire)
	return order{
		direction: direction{source: Cluster(wire.Source), destination: Cluster(wire.Destination)},
		hosts:     wire.MigrationHosts,
	}
}

// readLinkToken reads a body that has been checked.
func readLinkToken(body []byte) string {
	var wire struct {
		LinkToken string `json:"linkToken"`
	}
	_ = json.Unmarshal(body, &wire)
	return wire.LinkToken
}
