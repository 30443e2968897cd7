package mwttiny

//go:generate go run ../../cmd/multiway build -o . mwttiny.yaml
