package model

// tokenizerFormat is the tokenizer_config.json of a model of Hugging Face's transformers.
var tokenizerFormat = configFormat{file: "tokenizer_config.json", none: true, rows: []configRow{
	{path: "tokenizer_class", fact: "tokenizer.class", kind: textConfig},
	{path: "do_lower_case", fact: "tokenizer.lower", kind: flagConfig},
	{path: "model_max_length", fact: "tokenizer.longest", kind: numberConfig}, // 1e30 where none is known
}, class: func(map[string]any) (*configClass, error) { return &configClass{name: "transformers"}, nil }}
