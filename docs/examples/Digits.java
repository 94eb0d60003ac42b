import java.io.File;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.util.ModelSerializer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Restores a network that `caribou convert` wrote, classifies with it, and trains it on.
 *
 * <pre>java -cp ... Digits.java digits.zip images.npy labels.npy</pre>
 */
public class Digits {
    public static void main(String[] arguments) {
        MultiLayerNetwork network = restore(arguments[0]);
        // In Keras' order: [examples, height, width, channels]; the network was trained on numbers from 0 to 1.
        INDArray images = Nd4j.createFromNpyFile(new File(arguments[1])).castTo(DataType.FLOAT).div(16);
        images = images.reshape(images.size(0), 8, 8, 1);
        INDArray classes = Nd4j.createFromNpyFile(new File(arguments[2]));
        INDArray labels = Nd4j.eye(10).castTo(DataType.FLOAT).getRows(classes.toIntVector());

        INDArray found = network.output(images).argMax(1);
        int right = 0;
        for (int i = 0; i < found.length(); i++) {
            right += found.getInt(i) == classes.getInt(i) ? 1 : 0;
        }
        System.out.println(right + " of " + found.length() + " right");

        double before = loss(network, images, labels);
        for (int step = 0; step < 20; step++) {
            network.fit(images, labels);
        }
        double after = loss(network, images, labels);
        System.out.printf("loss %.4f, after 20 steps %.4f%n", before, after);
        if (!(after < before)) {
            throw new IllegalStateException("it did not learn");
        }
    }

    private static MultiLayerNetwork restore(String archive) {
        try {
            return ModelSerializer.restoreMultiLayerNetwork(archive);
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }

    private static double loss(MultiLayerNetwork network, INDArray images, INDArray labels) {
        return network.score(new DataSet(images, labels));
    }
}
