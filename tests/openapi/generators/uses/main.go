// What a user does with the Go client of openapi-generator: use URL EMAIL PASSWORD FILE.
package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"os"
	"path/filepath"

	generated "example.org/generated"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	url, email, password, path := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	settings := generated.NewConfiguration()
	settings.Servers = generated.ServerConfigurations{{URL: url}}
	client := generated.NewAPIClient(settings)
	nobody := context.Background()
	token, _, err := client.MainfluxUsersAPI.PostTokens(nobody).
		Account(*generated.NewAccount(email, password)).Execute()
	must(token, err)
	user := context.WithValue(nobody, generated.ContextAccessToken, token.Token)
	draft := generated.NewThingDraft()
	draft.SetName("generated")
	things, _, err := client.MainfluxThingsAPI.PostThings(user).
		PostThingsRequest(generated.PostThingsRequest{ThingDraft: draft}).Execute()
	must(things, err)
	device := context.WithValue(nobody, generated.ContextAPIKeys, map[string]generated.APIKey{
		"thingKey": {Key: things.Things[0].GetKey(), Prefix: "Thing"},
	})
	files := client.MainfluxFilestoreAPI
	stored, _, err := files.PostFiles(device).File(must(os.Open(path))).Execute()
	must(stored, err)
	listed, _, err := files.GetFiles(device).Execute()
	must(listed, err)
	if len(listed.Files) != 1 || listed.Files[0].Name != filepath.Base(path) {
		log.Fatalf("listed: %v", listed.Files)
	}
	content := must(os.ReadFile(path))
	whole, _, err := files.GetFilesName(device, stored.Name).Execute()
	if !bytes.Equal(must(io.ReadAll(must(whole, err))), content) {
		log.Fatal("other bytes")
	}
	part, _, err := files.GetFilesName(device, stored.Name).Range_("bytes=8-11").Execute()
	if !bytes.Equal(must(io.ReadAll(must(part, err))), content[8:12]) {
		log.Fatal("another range")
	}
}
