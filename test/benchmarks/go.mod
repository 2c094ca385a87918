module github.com/livemigration/livemigration-go/test/benchmarks

go 1.25.0

replace github.com/livemigration/livemigration-go => ../..

require (
	github.com/google/go-querystring v1.2.0
	github.com/hashicorp/go-retryablehttp v0.7.8
	github.com/icholy/digest v1.2.0
	github.com/livemigration/livemigration-go v0.0.0-00010101000000-000000000000
	github.com/mongodb-forks/digest v1.1.0
	go.mongodb.org/atlas v0.38.0
	golang.org/x/oauth2 v0.36.0
	golang.org/x/time v0.15.0
)

require (
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	golang.org/x/sync v0.20.0 // indirect
)
