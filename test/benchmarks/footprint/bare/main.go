// Command bare reads one migration with net/http and encoding/json, and cannot authenticate.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	resp, err := http.Get(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var migration struct{ Status string }
	if err := json.NewDecoder(resp.Body).Decode(&migration); err != nil {
		log.Fatal(err)
	}
	fmt.Println(migration.Status)
}
