module github.com/livemigration/livemigration-go/test/mutation

go 1.25.0
