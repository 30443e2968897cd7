package emoji

//go:generate go run ../../cmd/multiway build -o . emoji.yaml
