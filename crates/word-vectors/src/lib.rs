//! Reads and writes word vectors (word2vec, GloVe, fastText) for DeepLearning4j
