module tools/ollama

go 1.24.1

require github.com/ollama/ollama v0.17.4
