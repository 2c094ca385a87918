package main

import (
	"fmt"

	"github.com/livemigration/livemigration-go"
)

// fleet is a source project with as many clusters and migration hosts.
func fleet(clusters int) livemigration.AvailableProject {
	project := livemigration.AvailableProject{Name: "Fleet", ProjectID: livemigration.ProjectID(madeUpID(0))}
	for i := 1; i <= clusters; i++ {
		project.MigrationHosts = append(project.MigrationHosts, fmt.Sprintf("migration-host-%d.example.com", i))
		project.Deployments = append(project.Deployments, livemigration.Deployment{
			ClusterID: madeUpID(i), Name: fmt.Sprintf("cluster-%d", i),
			MongoDBVersion: "7.0.14", FeatureCompatibilityVersion: "7.0", AgentVersion: "13.23.0.9072-1",
			Managed: true, TLSEnabled: true, DBSizeBytes: int64(i) << 30, OplogSizeMB: 2048,
		})
	}
	return project
}

func madeUpID(number int) string { return fmt.Sprintf("5c7e8f90f1ee7000000%05x", number) }
