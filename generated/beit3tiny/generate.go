package beit3tiny

//go:generate go run ../../cmd/multiway build -o . beit3tiny.yaml
