//! Writes the caribou graph as a DeepLearning4j archive that stock ModelSerializer restores
