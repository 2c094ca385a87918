package crash

import (
	"fmt"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// Plans returns n plans into a project, each for a cluster and a host of its own, but for the third one, which waits for the
// host of the first. Every second plan drops the data of its destination, and so has two gates.
func Plans(project livemigration.ProjectID, n int) []durable.Plan {
	plans := make([]durable.Plan, n)
	for i := range plans {
		host := i
		if i == 2 {
			host = 0
		}
		plans[i] = durable.Plan{
			Name: fmt.Sprintf("m-%02d", i), ProjectID: project,
			Request: livemigration.MigrationRequest{
				Source: livemigration.Source{
					ProjectID:             livemigration.ProjectID(fmt.Sprintf("5c7e8f90f1ee70000000%04x", i)),
					ClusterName:           fmt.Sprintf("from-%02d", i),
					ManagedAuthentication: true, SSL: true,
				},
				Destination:         livemigration.Destination{ClusterName: fmt.Sprintf("to-%02d", i)},
				MigrationHosts:      []string{fmt.Sprintf("vm-%02d.example.com", host)},
				DropDestinationData: i%2 == 1,
			},
		}
	}
	return plans
}
