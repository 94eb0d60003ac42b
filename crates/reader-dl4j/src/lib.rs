//! Reads DeepLearning4j archives into the caribou graph
